# SPDX-License-Identifier: Apache-2.0
"""Every alert is labelled, tested on four sides, not blind, and shown by a drill or by a named reason."""

from __future__ import annotations

import re

from alerts import catalogue, selectors
from alerts.drill import case, history
from infra.runbook.rules import RULES, alerts
from infra.spec import CHECKOUT, load
from tests.policy.repository import files, text

# Pages that no drill shows, each with its reason in its drill file.
UNSHOWN_PAGES = {"ErrorBudgetBurnSlow"}
READERS_OF_DRILLS = ("alerts/drill", "alerts/commands.py", "tests")


def test_every_rule_is_labelled_and_tested_on_four_sides() -> None:
    """A label that is missing sends an alert to nobody; a side that is missing was never looked at."""
    gaps = catalogue.gaps(load("lab"))
    assert not gaps, "\n" + "\n".join(map(str, gaps))


def test_no_rule_asks_for_what_nothing_exports() -> None:
    """Such a rule is silent for ever, and nobody notices."""
    blind = selectors.blind(RULES, selectors.known())
    assert not blind, "\n" + "\n".join(blind)


def test_every_alert_has_a_drill_or_says_why_not_and_no_drill_is_an_orphan() -> None:
    """Pages have two unlike faults at least."""
    drills = {found.alert: found for found in case.every()}
    known = alerts()
    assert sorted(drills) == sorted(known)
    few = [
        name
        for name, found in drills.items()
        if known[name].severity == "page" and not found.unshown and len(found.faults) < 2
    ]
    assert not few, f"a page needs two unlike faults: {few}"


def test_drills_touch_roles_that_exist() -> None:
    """A role that nobody has would let everything run beside such a drill."""
    known = {*load("lab").roles, *case.SHARED}
    assert {name for found in case.every() for name in found.touches} <= known
    assert {name for found in case.every() for fault in found.faults for name in fault.touches} <= known


def test_nine_of_ten_tickets_and_every_page_are_drilled() -> None:
    """A reason instead of a drill is an exception, and exceptions are few."""
    drills = {found.alert: found for found in case.every()}
    of = {name: alert.severity for name, alert in alerts().items()}
    pages = {name for name in of if of[name] == "page" and drills[name].unshown}
    tickets = [name for name in of if of[name] == "ticket"]
    unshown = [name for name in tickets if drills[name].unshown]
    assert pages == UNSHOWN_PAGES
    assert len(unshown) <= 0.1 * len(tickets), f"{len(unshown)} of {len(tickets)}: {unshown}"


def test_pages_and_their_runner_cannot_know_the_faults() -> None:
    """A page that repeats the undo of a fault would be shown to mend that fault and nothing else."""
    named = [
        str(path.relative_to(CHECKOUT))
        for path in files(CHECKOUT)
        if re.search(r"tests/drills|alerts\.drill", text(path))
        and path.suffix in {".py", ".md"}
        and not str(path.relative_to(CHECKOUT)).startswith(READERS_OF_DRILLS)
    ]
    assert [name for name in named if name.startswith(("infra", "runbooks"))] == []


def test_no_block_of_a_page_repeats_the_undo_of_a_fault() -> None:
    """The undo is the safety net of a drill, made with knowledge that on-call does not have."""
    repeated = [
        f"{found.alert}/{fault.name}"
        for found in case.every()
        for fault in found.faults
        if " ".join(fault.undo.split())
        in " ".join(text(CHECKOUT / f"runbooks/alerts/{found.alert}.md").split())
    ]
    assert not repeated, repeated


def test_every_page_ends_with_the_record_of_its_drills() -> None:
    """On-call sees when a page was last rehearsed; one that has changed since says so."""
    stale = [
        alert
        for alert, wanted in history.wanted().items()
        if text(CHECKOUT / f"runbooks/alerts/{alert}.md") != wanted
    ]
    assert not stale, f"run: python -m alerts.drill.history: {stale}"
