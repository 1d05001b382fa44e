# SPDX-License-Identifier: Apache-2.0
"""A drill passes only where the alert saw the fault, its page mended it and monitoring held all the while."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from alerts.drill import engine, result
from infra.fleet.exits import PerennialError
from infra.fleet.remote import Result as Answered
from infra.runbook import record
from infra.runbook.monitoring import Live
from tests.unit.drill_world import CASE, FAULT, FIXTURES, KNOWN
from tests.unit.fleet_world import World, platform
from tests.unit.runbook_world import LABELS

if TYPE_CHECKING:
    from pathlib import Path

    from infra.spec import Platform


class Stand(World):
    """A platform where `fault on` sticks a queue that its page flushes; the alert follows after 100 s."""

    def __init__(self) -> None:
        """Begin well, at second 0."""
        super().__init__()
        self.clock = 0.0
        self.fault_at: float | None = None
        self.blind = self.dead = self.heals_itself = self.undo_fails = self.fires_anyway = False
        self.page_mends = True
        self.dies_at = float("inf")
        self.beside: set[str] = set()
        self.inhibited: set[str] = set()

    def answer(self, host: str, line: str, stdin: str) -> str | int | Answered | None:
        """Answer faults and the page's commands."""
        words = shlex.split(line)
        if words[:2] == ["bash", "-c"]:
            return self._fault(words[2])
        if words[0] != "systemd-run":
            return super().answer(host, line, stdin)
        command = words[-1].strip()
        if command == "false":
            return 1
        if command == "queue flush" and self.page_mends:
            self.fault_at = None
        return "moving" if command == "queue state" and self.fault_at is None else "stuck"

    def _fault(self, text: str) -> str | int:
        if text == "fault on":
            self.fault_at = self.clock
        elif text == "fault off" and not self.undo_fails:
            self.fault_at = None
        elif text == "fault none":
            return 1 if self.fault_at is not None else ""
        return ""

    def _fires(self) -> bool:
        if self.heals_itself and self.fault_at is not None and self.clock - self.fault_at > 130:
            return False
        if self.fires_anyway:
            return True
        return not self.blind and self.fault_at is not None and self.clock - self.fault_at >= 100

    def firing(self, alert: str) -> list[Live]:
        """Return the alert, and the Watchdog while monitoring lives."""
        if self.dead:
            raise PerennialError("Alertmanager does not answer")
        there = alert == "Watchdog" or (alert == "QueueStuck" and self._fires())
        return [Live("f1", {**LABELS, "alertname": alert}, "stuck", "now")] if there else []

    def notifying(self) -> list[Live]:
        """Return the alert and what fires beside it; people are not told of what is inhibited."""
        names = ["QueueStuck", *sorted(self.beside - self.inhibited)] if self._fires() else []
        return [Live("f", {**LABELS, "alertname": name, "severity": "page"}, "", "now") for name in names]

    def query(self, text: str) -> list[str]:
        """Answer the engine's questions and the page's verification."""
        if self.dead:
            raise PerennialError("Prometheus does not answer")
        if text.startswith("queue_stuck"):
            return ["queue_stuck 1"] if self.fault_at is not None else []
        if "count by" not in text:
            return ["ALERTS 1"]
        names = {
            "Watchdog",
            *(self.beside if self._fires() else ()),
            *(["QueueStuck"] if self._fires() else []),
        }
        return [f'{{alertname="{name}"}} 1' for name in sorted(names)]

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.clock += seconds
        self.dead = self.dead or self.clock > self.dies_at


@pytest.fixture(name="stand")
def fixture_stand() -> Stand:
    """Return a healthy platform."""
    return Stand()


@pytest.fixture(name="described")
def fixture_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Return its description, with the page and the rules of the tests in place."""
    monkeypatch.setattr(engine, "PAGES", FIXTURES)
    monkeypatch.setattr(engine, "alerts", lambda: KNOWN)
    monkeypatch.setattr(record, "folder", lambda _environment: tmp_path / "runbooks")
    return platform(tmp_path)


def drill(stand: Stand, described: Platform, control: str = "") -> result.Result:
    """Carry the drill out by the stand's own clock."""
    one = engine.Drill(
        described,
        stand.runner,
        stand,
        scrape=15,
        say=lambda _text: None,
        pause=stand.pause,
        now=lambda: stand.clock,
    )
    return one.run(CASE, FAULT, control)


def test_a_fault_that_is_seen_and_mended_passes(stand: Stand, described: Platform) -> None:
    """The positive control: detected near its floor, and nothing is undone behind the page's back."""
    found = drill(stand, described)
    assert found.passed, found.line()
    assert (found.floor, found.detect, found.beside) == (105.0, 100.0, [])
    assert not [line for line in stand.runner.lines("app-1") if "fault off" in line]


def test_an_alert_that_does_not_fire_fails_and_the_fault_is_undone(stand: Stand, described: Platform) -> None:
    """Missed is missed, however long one waits beyond the floor."""
    stand.blind = True
    found = drill(stand, described)
    assert not found.passed
    assert (found.valid, found.detected, found.why) == (True, False, "QueueStuck did not fire")
    assert stand.fault_at is None


def test_a_page_that_does_not_mend_fails_and_the_fault_is_undone(stand: Stand, described: Platform) -> None:
    """The page says so by its verification; so does the direct look."""
    stand.page_mends = False
    found = drill(stand, described)
    assert not found.passed
    assert found.detected
    assert "the page ended with" in found.why
    assert stand.fault_at is None


def test_monitoring_that_dies_makes_a_drill_invalid(stand: Stand, described: Platform) -> None:
    """A killed Prometheus resolves every alert: silence is not health."""
    stand.dead = True
    assert not drill(stand, described).valid
    stand.dead = False
    stand.dies_at = 50
    found = drill(stand, described)
    assert not found.valid
    assert not found.passed
    assert stand.fault_at is None


def test_what_is_not_well_before_makes_a_drill_invalid(stand: Stand, described: Platform) -> None:
    """What follows would not be the fault's."""
    stand.fault_at = 0.0
    assert "is not well before the fault" in drill(stand, described).why
    assert not [line for line in stand.runner.lines("app-1") if "fault off" in line], "nothing was begun"


@pytest.mark.parametrize(("name", "passed"), [("MailLate", True), ("SiteDown", False)])
def test_other_alerts_are_allowed_by_name(
    stand: Stand, described: Platform, name: str, *, passed: bool
) -> None:
    """What else fires costs a person attention: each is declared or a failure."""
    stand.beside = {name}
    found = drill(stand, described)
    assert found.passed is passed, found.line()
    assert (found.beside if passed else found.unexpected) == [name]
    assert (found.pages, found.tickets) == (2, 0)


def test_people_are_told_once_where_one_alert_explains_another(stand: Stand, described: Platform) -> None:
    """What is inhibited fires, and costs nobody attention."""
    stand.beside = stand.inhibited = {"MailLate"}
    found = drill(stand, described)
    assert (found.beside, found.pages) == (["MailLate"], 1)


def test_the_null_control_tells_a_fault_that_heals_itself(stand: Stand, described: Platform) -> None:
    """Such a fault shows nothing about a page: any page would pass."""
    stays = drill(stand, described, "null")
    assert (stays.mended, stays.why) == (False, "the alert stayed, as it must")
    assert not [line for line in stand.runner.lines("app-1") if "queue flush" in line]
    stand.heals_itself = True
    goes = drill(stand, described, "null")
    assert (goes.mended, goes.why) == (True, "the alert cleared by itself")


def test_the_broken_control_fails(stand: Stand, described: Platform) -> None:
    """A drill that passes with a page whose first change fails would pass with any page."""
    found = drill(stand, described, "broken")
    assert (found.detected, found.mended, found.passed) == (True, False, True)
    assert "went red as it must" in found.line()
    assert stand.fault_at is None


@pytest.mark.parametrize(
    ("control", "state", "green"),
    [
        ("null", {}, {"heals_itself": True}),
        ("quiet", {}, {"fires_anyway": True}),
        ("mutated", {"blind": True}, {}),
        ("blind", {"dies_at": 10.0}, {}),
    ],
)
def test_a_control_passes_only_where_the_drill_went_red(
    stand: Stand, described: Platform, control: str, state: dict[str, object], green: dict[str, object]
) -> None:
    """For its own reason: a drill that stays green with a control would stay green with anything."""
    for name, value in state.items():
        setattr(stand, name, value)
    found = drill(stand, described, control)
    assert found.passed, found.line()
    other = Stand()
    for name, value in green.items():
        setattr(other, name, value)
    found = drill(other, described, control)
    assert not found.passed
    assert "CONTROL STAYED GREEN" in found.line()


def test_a_control_of_the_monitoring_is_taken_back(stand: Stand, described: Platform) -> None:
    """The next drill would find rules that are not ours, or no Prometheus."""
    stand.blind = True
    drill(stand, described, "mutated")
    lines = [line for line in stand.runner.lines("mon-1") if "prometheus.service" in line]
    assert ["12h" in line for line in lines] == [True, False]


def test_a_fault_that_cannot_be_undone_is_said(stand: Stand, described: Platform) -> None:
    """The next drill would suffer from it."""
    stand.page_mends, stand.undo_fails = False, True
    assert "STAYS unwell" in drill(stand, described).why
