# SPDX-License-Identifier: Apache-2.0
"""The rows: each measures one thing on a running platform and returns its figures."""
