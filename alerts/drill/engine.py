# SPDX-License-Identifier: Apache-2.0
"""One drill: steady state, fault, alert, page, direct check, alert gone; the rules are never touched.

An alert that is gone proves nothing by itself: monitoring that died resolves everything. So Prometheus must
answer with a Watchdog that fires, before and after, and the host itself is asked whether it is well.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from alerts.drill import control as controls
from alerts.drill.result import Result
from infra.fleet.exits import Exit, PerennialError
from infra.runbook import labels as variables
from infra.runbook import page as pages
from infra.runbook import record as records
from infra.runbook.attempt import Bench
from infra.runbook.lint import PAGES
from infra.runbook.monitoring import Monitoring
from infra.runbook.rules import alerts
from infra.runbook.run import Answer, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerts.drill.case import Case, Fault
    from infra.fleet.remote import Result as Answered
    from infra.fleet.remote import Runner
    from infra.runbook.monitoring import Live
    from infra.spec import Platform

POLL_SECONDS = 1.0
SLACK_SECONDS = 30.0  # after the floor an alert that has not fired is missed
SETTLE_SCRAPES = 8  # so long an earlier drill may leave the same alert
COMMAND_SECONDS = 120.0
FIRING = 'ALERTS{alertstate="firing"}'


class Watched(Monitoring, Protocol):
    """Monitoring that also knows what people are told of."""

    def notifying(self) -> list[Live]:
        """Return the alerts that are neither silenced nor inhibited. Raises PerennialError."""
        ...


class InvalidDrillError(Exception):
    """Monitoring did not hold: the drill shows nothing."""


@dataclass
class Drill:
    """Carries out faults of one environment.

    `scrape` is the interval (s) of scrapes and of evaluation; `elsewhere` names alerts that drills beside
    one may cause; `load` sends requests a second meanwhile.
    """

    platform: Platform
    runner: Runner
    monitoring: Watched
    scrape: float
    say: Callable[[str], None]
    load: Callable[[float], AbstractContextManager[object]] = lambda _rate: nullcontext()
    elsewhere: Callable[[Case, Fault], set[str]] = lambda _case, _fault: set()
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic
    before: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)

    def run(self, case: Case, fault: Fault, control: str = "") -> Result:
        """Carry out one fault and return what was found; the fault is gone afterwards in any case.

        `control` is empty, or one of alerts/drill/control.py, whose drill must not pass.
        """
        return replace(self, before=set(), seen=set(), told={}).carry_out(case, fault, control)

    def carry_out(self, case: Case, fault: Fault, control: str) -> Result:
        """Carry out one fault with what this object alone sees; see run, which drills side by side call."""
        floor = 3 * self.scrape + alerts()[case.alert].for_seconds + fault.patience
        result = Result(case.alert, fault.name, control, floor=floor)
        begun = False
        try:
            self._steady(case, fault)
            with self.load(fault.load):
                if control != "quiet":
                    begun = True
                    self._on(fault, fault.inject, "injecting")
                begin = self.now()
                with controls.applied(control, case, self.platform, self.runner):
                    self._act(case, fault, result, begin)
        except InvalidDrillError as error:
            result.valid, result.why = False, str(error)
        finally:
            self._beside(case, fault, result)
            if begun and (not result.mended or control):
                self._undo(fault, result)
        return result

    def _steady(self, case: Case, fault: Fault) -> None:
        """Require that all is well before: otherwise what follows is not the fault's."""
        self._watching()
        limit = self.now() + SETTLE_SCRAPES * self.scrape + fault.lingers
        while case.alert in (firing := self._firing()):
            if self.now() > limit:
                raise InvalidDrillError(f"{case.alert} fires already")
            self.pause(POLL_SECONDS)
        self.before, self.seen = firing, set()
        well = self._on(fault, fault.healthy, "")
        if not well.ok:
            raise InvalidDrillError(f"{fault.host} is not well before the fault: {well.last_line()}")

    def _watching(self) -> None:
        try:
            alive = self.monitoring.query(FIRING.replace("{", '{alertname="Watchdog",'))
            told = self.monitoring.firing("Watchdog")
        except PerennialError as error:
            raise InvalidDrillError(f"monitoring does not hold: {error}") from error
        if not alive or not told:
            raise InvalidDrillError("monitoring does not hold: the Watchdog does not fire")

    def _firing(self) -> set[str]:
        try:
            lines = self.monitoring.query(f"count by (alertname) ({FIRING})")
        except PerennialError as error:
            raise InvalidDrillError(f"monitoring does not hold: {error}") from error
        found = {line.split('"')[1] for line in lines} - {"Watchdog"}
        self.seen |= found
        return found

    def _act(self, case: Case, fault: Fault, result: Result, begin: float) -> None:
        live = self._await(case, fault, result, begin)
        if live is None:
            return
        outcome = self._page(case, live, result.control)
        if result.control == "null":
            self.pause(4 * self.scrape)
            result.mended = not self._alert(case, fault)
            result.why = "the alert cleared by itself" if result.mended else "the alert stayed, as it must"
            return
        result.why = "" if outcome is Exit.DONE else f"the page ended with: {outcome.outcome}"
        well = self._on(fault, fault.healthy, "")
        if not well.ok:
            result.why += f"; {fault.host} is not well after the page: {well.last_line()}"
            return
        result.repair = round(self.now() - begin, 1)
        self._await_gone(case, fault, result, begin)
        self._watching()
        result.mended = outcome is Exit.DONE and result.reset is not None

    def _await(self, case: Case, fault: Fault, result: Result, begin: float) -> Live | None:
        """Return the alert once Prometheus fires it and Alertmanager has it; None where it is missed."""
        while self.now() - begin < result.floor + SLACK_SECONDS:
            if live := self._alert(case, fault):
                result.detected, result.detect = True, round(self.now() - begin, 1)
                self.say(f"{case.alert} fires after {result.detect:.0f} s: {live.summary}")
                return live
            self.pause(POLL_SECONDS)
        self._watching()
        result.why = f"{case.alert} did not fire"
        return None

    def _alert(self, case: Case, fault: Fault) -> Live | None:
        try:
            if case.alert not in self._firing():
                return None
            found = self.monitoring.firing(case.alert)
            self.told |= {
                one.labels["alertname"]: one.labels["severity"] for one in self.monitoring.notifying()
            }
        except PerennialError as error:
            raise InvalidDrillError(f"monitoring does not hold: {error}") from error
        return next((one for one in found if fault.labels.items() <= one.labels.items()), None)

    def _page(self, case: Case, live: Live, control: str) -> Exit:
        """Run the page as a person would who answers yes to everything."""
        read = pages.read(PAGES / f"{case.alert}.md")
        record = records.new(read, self.platform.name, live.labels, live.fingerprint)
        bench = Bench(self.runner, self.monitoring, live.labels, self.platform.name, record.run)
        if control == "broken":
            read = _broken(read)
        run = Run(
            read,
            self.platform,
            bench,
            record,
            ask=lambda _block, _hosts: Answer.RUN,
            say=self.say,
            dry_run=control == "null",
            pause=self.pause,
            now=self.now,
        )
        try:
            outcome = run.forward()
        except PerennialError as error:
            self.say(f"{case.alert}: {error}")
            outcome = error.code
        record.end(outcome)
        return outcome

    def _await_gone(self, case: Case, fault: Fault, result: Result, begin: float) -> None:
        limit = self.now() + 6 * self.scrape + SLACK_SECONDS + fault.lingers
        while self.now() < limit:
            if self._alert(case, fault) is None:
                result.reset = round(self.now() - begin, 1)
                return
            self.pause(POLL_SECONDS)
        result.why += f"; {case.alert} still fires"

    def _beside(self, case: Case, fault: Fault, result: Result) -> None:
        others = self.seen - {case.alert} - self.before
        result.beside = sorted(others & set(case.allowed))
        elsewhere = self.elsewhere(case, fault)
        result.unexpected = sorted(others - set(case.allowed) - elsewhere)
        mine = [self.told[name] for name in self.told.keys() - self.before - (elsewhere - {case.alert})]
        result.pages, result.tickets = mine.count("page"), mine.count("ticket")

    def _on(self, fault: Fault, text: str, doing: str) -> Answered:
        """Run a shell text where the fault is; raise InvalidDrillError where it must succeed and does not."""
        word = fault.host if doing else fault.healthy_on or fault.host
        hosts = [*variables.select(self.platform, word)[:1], *fault.also]
        answers = [self.runner.run(host, ["bash", "-c", text], timeout=COMMAND_SECONDS) for host in hosts]
        bad = [answer for answer in answers if not answer.ok]
        if doing and bad:
            raise InvalidDrillError(f"{doing} on {bad[0].host} failed: {bad[0].last_line()}")
        return (bad or answers)[0]

    def _undo(self, fault: Fault, result: Result) -> None:
        """Take the fault away where no page did; what stays wrong is said: the next drill would suffer."""
        try:
            self._on(fault, fault.undo, "undoing")
        except InvalidDrillError as error:
            result.why += f"; {error}"
        limit = self.now() + COMMAND_SECONDS
        while not self._on(fault, fault.healthy, "").ok:
            if self.now() > limit:
                result.why += f"; {fault.host} STAYS unwell after undo"
                return
            self.pause(POLL_SECONDS)


def _broken(read: pages.Page) -> pages.Page:
    """Return a page whose first change fails, whichever that is: looks decide which one a run comes to."""
    blocks = tuple(replace(block, text="false\n") if block.changes else block for block in read.blocks)
    return replace(read, blocks=blocks)
