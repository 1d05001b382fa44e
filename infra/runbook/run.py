# SPDX-License-Identifier: Apache-2.0
"""Runs a page's blocks in their order: look, change what the looks ask for, verify; undo where that fails.

Every block ends in one state of `record.State`, written before the next begins. A look whose expectation does
not hold is an answer, not a failure: what `requires` it is skipped. A change that fails, or a verification
that does not come true, ends the run and undoes its changes in reverse order.
A dry run looks once at everything, waits for nothing and leaves every change out (rehearsal.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from infra.fleet.exits import Exit, PerennialError
from infra.fleet.health import Health
from infra.runbook import labels as variables
from infra.runbook.attempt import Attempt, Bench, Ending, attempt, unreachable
from infra.runbook.page import seconds
from infra.runbook.record import OUTPUT_MOST, Record, State, Step
from infra.runbook.rehearsal import Rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.runbook.page import Block, Page
    from infra.spec import Platform

POLL_SECONDS = 2.0
VERIFICATION = "Verification"
FINAL = {State.DONE, State.SKIPPED, State.NOT_MET}


class Answer(StrEnum):
    """What a person says to a block that changes something."""

    RUN = "run"
    SKIP = "skip"
    STOP = "stop"


@dataclass
class Run:
    """One run of one page.

    `ask` decides about each change, `say` hears what goes on, `check` raises when its lock was lost,
    `changed` hears of each host before it is acted on, `still_firing` tells whether there is still something
    to mend, `show` hears of each block when it has ended, with its whole output.
    """

    page: Page
    platform: Platform
    bench: Bench
    record: Record
    ask: Callable[[Block, tuple[str, ...]], Answer]
    say: Callable[[str], None]
    check: Callable[[], None] = lambda: None
    changed: Callable[[str], None] = lambda _host: None
    show: Callable[[Block, Step, str], None] = lambda _block, _step, _output: None
    dry_run: bool = False
    still_firing: Callable[[], bool] = lambda: True
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic
    rehearsal: Rehearsal = field(default_factory=Rehearsal)

    def plan(self) -> list[str]:
        """Return what would be done where, a line a block; raise PerennialError where a block has no host."""
        lines = []
        for block in self._forward():
            where = ", ".join(variables.hosts(block, self.bench.labels, self.platform))
            done = self.record.step(block.attributes.name)
            before = f" (already {done.state})" if done and done.state in FINAL else ""
            lines.append(f"{block.attributes.kind}: {block.attributes.name} on {where}{before}")
        return lines

    def forward(self) -> Exit:
        """Run the page from where its record stands.

        Returns DONE, FAILED, PARTIAL (a person left a change out) or ROLLBACK_FAILED; raises PerennialError
        where a guard refuses.
        """
        for block in self._forward():
            before = self.record.step(block.attributes.name)
            if before and before.state in FINAL:
                continue
            step = self._one(block)
            if step.state is State.UNVERIFIABLE:
                self.say(
                    f"nobody knows what {step.name} did; look at {', '.join(step.hosts)} before going on"
                )
                return Exit.FAILED
            if step.state is State.FAILED:
                return self._give_up()
        return self._verdict()

    def back(self) -> Exit:
        """Undo the changes of this run in reverse order; ROLLBACK_FAILED where one cannot be undone."""
        outcome = Exit.DONE
        for step, undo in self._undone_by():
            done = self._act(undo, step.hosts)
            worked = all(one.met for one in done)
            step.state = State.ROLLED_BACK if worked else State.ROLLBACK_FAILED
            step.why = "; ".join(one.why for one in done if one.why)
            self.record.put(step)
            self.say(f"{step.name}: {step.state} by {undo.attributes.name}{_because(step.why)}")
            self.show(undo, step, "\n".join(one.output for one in done))
            if not worked:
                outcome = Exit.ROLLBACK_FAILED
        return outcome

    def undo_plan(self) -> list[str]:
        """Return what `back` would do where, a line an undo."""
        return [
            f"undo {step.name}: {undo.attributes.name} on {', '.join(step.hosts)}"
            for step, undo in self._undone_by()
        ]

    def _undone_by(self) -> list[tuple[Step, Block]]:
        """Return the steps that changed something with the block that undoes each, the last step first."""
        found = []
        for step in reversed(self.record.steps):
            block = self.page.block(step.name)
            if step.state in {State.DONE, State.FAILED} and block.changes and block.attributes.rollback:
                found.append((step, self.page.block(block.attributes.rollback)))
        return found

    def _forward(self) -> list[Block]:
        return [block for block in self.page.blocks if block.attributes.only != "rollback"]

    def _one(self, block: Block) -> Step:
        """Carry out one block and record what became of it."""
        hosts = variables.hosts(block, self.bench.labels, self.platform)
        step = Step(name=block.attributes.name, hosts=hosts, state=State.SKIPPED)
        step.why = self._reason_to_skip(block, hosts)
        output = "" if step.why else self._carried_out(block, step)
        self.record.put(step)
        took = f", {step.seconds:.1f} s" if step.seconds else ""
        self.say(f"{step.name} on {', '.join(hosts)}: {step.state}{took}{_because(step.why)}")
        self.show(block, step, output)
        return step

    def _carried_out(self, block: Block, step: Step) -> str:
        """Attempt a block on its hosts, judge what they answered, and return that."""
        begin = self.now()
        step.state = State.BEGUN
        self.record.put(step)
        attempts = self._act(block, step.hosts)
        self._judge(block, step, attempts)
        step.seconds = round(self.now() - begin, 1)
        output = "\n".join(one.output for one in attempts)
        step.output = output[-OUTPUT_MOST:]
        return output

    def _judge(self, block: Block, step: Step, attempts: list[Attempt]) -> None:
        step.why = "; ".join(f"{one.host}: {one.why}" for one in attempts if one.why)
        if any(one.ending is Ending.UNVERIFIABLE for one in attempts):
            step.state = State.UNVERIFIABLE
        elif self._holds(block, attempts):
            step.state, step.partly = State.DONE, not all(one.met for one in attempts)
            if step.partly:
                self.rehearsal.holds_partly(step.name)
        elif self.dry_run:
            self._not_yet(block, step)
        elif block.changes or self.page.section(block) == VERIFICATION:
            step.state = State.FAILED
        else:
            step.state = State.NOT_MET

    def _not_yet(self, block: Block, step: Step) -> None:
        """Tell a look of a dry run that a run could make true from one that it would see as it is."""
        coming = self.rehearsal.not_yet(block)
        step.state = State.NOT_YET if coming else State.NOT_MET
        step.why = "; ".join(filter(None, [coming, step.why]))

    def _holds(self, block: Block, attempts: list[Attempt]) -> bool:
        """Tell whether a block's expectation holds; a look holds where one host meets it.

        So `requires` asks for trouble on one host at least, and `unless` for health on all (Step.partly).
        """
        met = [one.met for one in attempts]
        return all(met) if block.changes or self.page.section(block) == VERIFICATION else any(met)

    def _reason_to_skip(self, block: Block, hosts: tuple[str, ...]) -> str:
        """Return why a block is not carried out, empty to carry it out."""
        about = block.attributes
        for name in about.requires:
            found = self.record.step(name)
            if self.dry_run and self.rehearsal.may_come(name):
                continue
            if found is None or found.state is not State.DONE:
                return f"needs {name}, which is {found.state if found else 'not done'}"
        for name in about.unless:
            found = self.record.step(name)
            if found is not None and found.state is State.DONE and not found.partly:
                return f"not needed: {name} holds"
        return self._reason_not_to_change(block, hosts) if block.changes else ""

    def _reason_not_to_change(self, block: Block, hosts: tuple[str, ...]) -> str:
        if self.dry_run:
            return self.rehearsal.leave_out(block, hosts)
        if self.page.section(block) != VERIFICATION and not self.still_firing():
            return "the alert does not fire any more"
        self.check()
        self._require_peers(block, hosts)
        answer = self.ask(block, hosts)
        if answer is Answer.STOP:
            raise PerennialError(
                f"stopped before {block.attributes.name}",
                where=self.record.alert,
                next_=f"perennial runbook run {self.record.alert} --resume",
                code=Exit.REFUSED,
            )
        return "left out by the person" if answer is Answer.SKIP else ""

    def _require_peers(self, block: Block, hosts: tuple[str, ...]) -> None:
        """Refuse (4) to act on a host while too few others of its role are healthy."""
        wanted = block.attributes.peers
        if not wanted:
            return
        roles = {role for name in hosts for role in self.platform.hosts[name].roles} - {"base"}
        others = [
            host
            for host in self.platform.hosts.values()
            if not host.disabled and host.name not in hosts and roles & set(host.roles)
        ]
        healthy = [
            state.host for state in Health(self.platform, self.bench.runner).hosts(others) if state.healthy
        ]
        if len(healthy) < wanted:
            raise PerennialError(
                f"{block.attributes.name} needs {wanted} other healthy host of {', '.join(sorted(roles))}; "
                f"healthy are: {', '.join(healthy) or 'none'}",
                where=", ".join(hosts),
                next_="perennial fleet status",
                code=Exit.REFUSED,
            )

    def _act(self, block: Block, hosts: tuple[str, ...]) -> list[Attempt]:
        """Attempt a block host by host, each until it meets what is expected or its wait ends."""
        found = []
        for host in hosts:
            if block.changes:
                self.changed(host)
            end = self.now() + (0 if self.dry_run else seconds(block.attributes.wait))
            one = self._attempt(block, host)
            while not one.met and one.ending is Ending.ENDED and not block.changes and self.now() < end:
                self.pause(POLL_SECONDS)
                one = self._attempt(block, host)
            found.append(one)
            self.record.keep(f"{block.attributes.name} on {host}: exit {one.returncode}", one.output)
            if one.ending is Ending.UNVERIFIABLE or (block.changes and not one.met):
                break
        return found

    def _attempt(self, block: Block, host: str) -> Attempt:
        try:
            return attempt(self.bench, block, host)
        except PerennialError as error:
            return unreachable(error, host)

    def _give_up(self) -> Exit:
        undone = self.back()
        return undone if undone is Exit.ROLLBACK_FAILED else Exit.FAILED

    def _verdict(self) -> Exit:
        """Return DONE; PARTIAL where somebody left a change out."""
        left = [step for step in self.record.steps if step.why == "left out by the person"]
        return Exit.PARTIAL if left else Exit.DONE


def _because(why: str) -> str:
    return f" ({why})" if why else ""
