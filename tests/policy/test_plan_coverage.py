# SPDX-License-Identifier: Apache-2.0
"""The plan is carried out as far as plan.yml says, and never less than before."""

from __future__ import annotations

from pathlib import Path

from infra.schedule import coverage, live_clauses
from infra.spec import load

COMMITTED = Path(__file__).with_name("live_clauses.txt")


def gone_back(live: set[str], committed: str) -> set[str]:
    """Return the clauses that the committed list has and that are not live any more."""
    once = {line.strip() for line in committed.splitlines() if line.strip() and not line.startswith("#")}
    return once - live


def test_nothing_is_lacking_between_plan_tasks_alerts_tests_and_pages() -> None:
    """A live clause lacking any part is red (design section 6); each gap is a line of the message."""
    problems = coverage(load("lab"))
    assert not problems, "\n" + "\n".join(map(str, problems))


def test_a_live_clause_never_goes_back() -> None:
    """What users rely on is not taken back by an edit of one word."""
    assert gone_back(set(live_clauses(load("lab"))), COMMITTED.read_text("utf-8")) == set()


def test_every_live_clause_is_on_the_committed_list() -> None:
    """Otherwise it could go back unseen."""
    listed = COMMITTED.read_text("utf-8").split()
    assert [clause for clause in live_clauses(load("lab")) if clause not in listed] == []


def test_a_clause_that_went_back_is_seen() -> None:
    """The positive control."""
    assert gone_back({"tech.backup"}, "# list\ntech.backup\ntech.restore\n") == {"tech.restore"}
