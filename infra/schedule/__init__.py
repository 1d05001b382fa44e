# SPDX-License-Identifier: Apache-2.0
"""Scheduled tasks seen from outside: what should run where, what ran, and what a clause still lacks."""

from infra.schedule.coverage import coverage, live_clauses

__all__ = ["coverage", "live_clauses"]
