# SPDX-License-Identifier: Apache-2.0
"""One run of the journey: its steps in their order, and once more where one failed.

A single failed attempt is no failed run. While the address of visitors or the writer of the database moves,
a connection is cut or a write waits for a second, and whoever uses the site presses the button again. So does
the journey, after 20 seconds: longer than a switchover takes. What fails twice is a failure.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.fleet.target import visited
from infra.journey.browser import Browser, StepError
from infra.journey.steps import STEPS, Account, Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from infra.inventory import Fleet
    from infra.journey.steps import Step

AGAIN_AFTER = 20.0
# Two attempts and the pause end well before the deadline of the task (schedule.yml): a run that its runner
# ends could not say at which step it stood.
ATTEMPT_SECONDS = 40.0


@dataclass(frozen=True)
class Done:
    """A step that was carried out: how long it took (seconds), and why it failed, '' where it did not."""

    step: str
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """What came of a run: the steps of its last attempt; `before` says why there was an earlier one."""

    steps: tuple[Done, ...]
    before: str = ""

    @property
    def failed(self) -> Done | None:
        """Return the step that ended the run, None where all of them passed."""
        return next((done for done in self.steps if done.reason), None)

    def lines(self) -> Iterator[str]:
        """Yield the report for people; it holds no secret."""
        if self.before:
            yield f"first attempt failed: {self.before}; tried again after {AGAIN_AFTER:g} s"
        for done in self.steps:
            yield f"{done.step}: {f'FAILED: {done.reason}' if done.reason else 'done'} ({done.seconds:.2f} s)"


@dataclass
class Clock:
    """Time as the journey sees it; tests put their own in place."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


@dataclass
class Journey:
    """The steps of one attempt; `until` is the time past which none may go on."""

    steps: tuple[Step, ...] = STEPS
    clock: Clock = field(default_factory=Clock)

    def attempt(self, visit: Visit) -> tuple[Done, ...]:
        """Carry out the steps up to the first that fails."""
        end, found = self.clock.now() + ATTEMPT_SECONDS, []
        for step in self.steps:
            found.append(self._step(step, visit, end))
            if found[-1].reason:
                break
        return tuple(found)

    def _step(self, step: Step, visit: Visit, end: float) -> Done:
        """Carry out one step: within its own limit, and within what the attempt has left."""
        begin = self.clock.now()
        limit = min(step.limit, end - begin)
        visit.browser.until = begin + limit
        reason = ""
        try:
            step.act(visit)
        except StepError as error:
            # a page may repeat what was typed
            reason = str(error).replace(visit.account.password, "(the password)")
        seconds = self.clock.now() - begin
        if not reason and seconds > limit:
            reason = f"took {seconds:.1f} s, at most {limit:.1f} s"
        return Done(step.name, seconds, reason)


def journey(enter: Callable[[], AbstractContextManager[Visit]], made: Journey) -> Report:
    """Carry out the journey, a second time where the first attempt failed; `enter` opens a new browser."""
    with enter() as visit:
        first = Report(made.attempt(visit))
    if first.failed is None:
        return first
    made.clock.pause(AGAIN_AFTER)
    with enter() as visit:
        return Report(made.attempt(visit), f"{first.failed.step}: {first.failed.reason}")


def run(fleet: Fleet, site: str) -> Report:
    """Carry out the journey through the virtual address of a site, with the account that is made for it."""
    login = fleet.platform.sites[site].definition.journey.login
    account = Account(login, fleet.secret(f"journey-{site}")["value"])
    with visited(fleet, site) as target:

        @contextmanager
        def enter() -> Iterator[Visit]:
            """Give a browser that knows nothing of an earlier one."""
            with Browser(target) as browser:
                yield Visit(browser, account)

        return journey(enter, Journey())
