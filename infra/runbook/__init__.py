# SPDX-License-Identifier: Apache-2.0
"""Runbook pages: what they say, which of their blocks are commands, and what is wrong with them."""
