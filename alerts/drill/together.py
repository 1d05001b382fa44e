# SPDX-License-Identifier: Apache-2.0
"""Drills side by side: faults whose hosts share no role, so that no drill takes the peer of another."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from alerts.drill.case import SHARED
from alerts.drill.control import BEFORE_AND_AFTER
from infra.runbook import labels as variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from alerts.drill.case import Case, Fault
    from alerts.drill.result import Result
    from infra.spec import Platform


AFTER_SECONDS = 420.0  # a rule may count over five minutes what has ended, and fire two minutes later
CONTROL = "control"  # pages of every drill converge from there


class One(NamedTuple):
    """One fault to drill, as it is or with a control (alerts/drill/control.py)."""

    case: Case
    fault: Fault
    control: str = ""

    @property
    def name(self) -> str:
        """Return `alert/fault`."""
        return f"{self.case.alert}/{self.fault.name}"

    @property
    def may_fire(self) -> set[str]:
        """Return the alerts that it may cause."""
        return {self.case.alert, *self.case.allowed}


@dataclass
class Together:
    """Runs faults with at most `most` at a time; `active` are under way, `ended` not any more."""

    platform: Platform
    most: int
    active: dict[str, One] = field(default_factory=dict)
    ended: list[tuple[float, One]] = field(default_factory=list)
    overlap: dict[str, set[str]] = field(default_factory=dict)
    now: Callable[[], float] = time.monotonic
    guard: threading.Lock = field(default_factory=threading.Lock)
    interruption: KeyboardInterrupt | None = None

    def roles(self, one: One) -> set[str]:
        """Return the roles that a drill touches; all of them where it is one that nothing may be beside."""
        every = {*self.platform.roles, *SHARED}
        if one.case.alone or one.control in BEFORE_AND_AFTER:
            return every
        if named := one.fault.touches or one.case.touches:
            return set(named)
        found = {role for host in self._hosts(one.fault) for role in self.platform.hosts[host].roles}
        return every if one.fault.also or CONTROL in found else found - {"base"}

    def _hosts(self, fault: Fault) -> set[str]:
        """Return the hosts of a fault, without the control host where another is broken from there."""
        words = [fault.host, fault.healthy_on, fault.labels.get("instance", "")]
        known = [word for word in words if word.startswith("role:") or word in self.platform.hosts]
        hosts = {variables.select(self.platform, word)[0] for word in known}
        return {host for host in hosts if CONTROL not in self.platform.hosts[host].roles} or hosts

    def elsewhere(self, case: Case, fault: Fault) -> set[str]:
        """Return the alerts that other faults may have caused: those beside this one, and shortly before."""
        with self.guard:
            return set(self.overlap.get(One(case, fault).name, ()))

    def _begin(self, one: One) -> None:
        """Note that `one` is under way, and what it and the others mean for each other."""
        with self.guard:
            after = [other for end, other in self.ended if self.now() - end < AFTER_SECONDS]
            others = [*self.active.values(), *after]
            self.overlap[one.name] = {alert for other in others for alert in other.may_fire}
            for other in self.active:
                self.overlap[other] |= one.may_fire
            self.active[one.name] = one

    def run(
        self,
        ones: Iterable[One],
        act: Callable[[One], Result],
        done: Callable[[One, Result], None],
        seconds: float = math.inf,
    ) -> None:
        """Carry out every fault, next the first that fits beside those under way; none after `seconds`.

        Whoever interrupts it waits for those under way: they end whole, are told, and leave no fault behind.
        """
        waiting, end = list(ones), self.now() + seconds
        under_way: dict[Future[Result], One] = {}
        with ThreadPoolExecutor(max_workers=self.most) as workers:
            while waiting or under_way:
                if self.now() > end:
                    waiting.clear()
                    if not under_way:
                        return
                while len(under_way) < self.most and (one := self._next(waiting)):
                    self._begin(one)
                    under_way[workers.submit(act, one)] = one
                for future in self._ended(under_way, waiting):
                    one = under_way.pop(future)
                    with self.guard:
                        del self.active[one.name]
                        self.ended.append((self.now(), one))
                    done(one, future.result())
        if self.interruption:
            raise self.interruption

    def _ended(self, under_way: dict[Future[Result], One], waiting: list[One]) -> set[Future[Result]]:
        """Wait for one to end; an interruption is kept for later, and nothing more is begun."""
        try:
            return wait(under_way, return_when=FIRST_COMPLETED).done
        except KeyboardInterrupt as error:
            self.interruption = error
            waiting.clear()
            return set()

    def _next(self, waiting: list[One]) -> One | None:
        """Take and return the first fault that touches no role of those under way."""
        busy = {role for one in self.active.values() for role in self.roles(one)}
        for one in waiting:
            if not self.roles(one) & busy:
                waiting.remove(one)
                return one
        return None
