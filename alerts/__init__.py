# SPDX-License-Identifier: Apache-2.0
"""Alert rules and what holds them to their conventions."""
