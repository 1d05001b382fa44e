# SPDX-License-Identifier: Apache-2.0
"""Who writes, and how that changes: switchover, failover, rejoin and rebuild of database servers."""
