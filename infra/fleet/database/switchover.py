# SPDX-License-Identifier: Apache-2.0
"""The planned switchover: writes wait at the edges while another server becomes the writer; none is lost.

hold → sessions under way end → old server read-only → new server has everything → new server writes → edges
lead there → release → the old server follows. Until the new server writes, every failure makes the old one
the writer again. What this process holds, the hosts release by themselves when it is lost.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.fleet.database import server as act
from infra.fleet.database.decisions import against_switchover, choose_candidate, listed, refused, the_writer
from infra.fleet.database.gtid import missing
from infra.fleet.database.listener import Listener
from infra.fleet.database.state import look
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.journal import say_on_stderr, signals_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.fleet.database.gtid import Origin
    from infra.fleet.database.server import Source
    from infra.fleet.database.state import Situation, View
    from infra.fleet.session import Session

HOLD_SECONDS = 4.0  # after that each edge takes connections again by itself
UNDO_SECONDS = 3.0  # and before it, the old server takes writes again
DRAIN_SECONDS = 0.3
READ_ONLY_SECONDS = 0.4  # it waits for commits under way, and for table locks
CATCH_UP_SECONDS = 1.0
ANSWER_SECONDS = 0.2
LOOKS = 5
LOOK_AGAIN_SECONDS = 0.5
FENCE_SECONDS = 1.0
# A hold that goes on for longer is given up before anything was changed, and tried again.
HOLD_MOST_SECONDS = 0.6
TRIES = 4
REST_SECONDS = 1.0


class NotQuietError(PerennialError):
    """Clients did not come to rest in time: nothing was changed, and they were let in again."""


@dataclass
class Timeline:
    """What a switchover took, in seconds; `ended` transactions were ended, `left` young sessions were not."""

    held: float = 0
    drain: float = 0
    ended: int = 0
    left: int = 0
    tries: int = 0
    steps: dict[str, float] = field(default_factory=dict)


def plan(view: View, to: str = "") -> tuple[Situation, str]:
    """Return the situation and the candidate after checking every guard.

    Lag and a long transaction may pass in a moment, so they are looked at more than once. Raises
    PerennialError (4) with every reason.
    """
    for number in range(LOOKS):
        situation = view.situation()
        writer = the_writer(situation)
        if to == writer.host:
            raise refused("writes already", to, "perennial fleet status")
        try:
            candidate = to or choose_candidate(situation)
            if reasons := against_switchover(situation, candidate):
                raise refused("; ".join(reasons), f"switchover from {writer.host} to {candidate}")
        except PerennialError:
            if number == LOOKS - 1:
                raise
            time.sleep(LOOK_AGAIN_SECONDS)
        else:
            return situation, candidate
    raise AssertionError("the last look returns or raises")


def words(situation: Situation, candidate: str) -> list[str]:
    """Return the plan for people."""
    old, edges = the_writer(situation).host, ", ".join(situation.edges)
    return [
        f"hold new database connections on {edges}; they wait, {HOLD_SECONDS:g} s at most",
        f"let sessions that have just begun end, {DRAIN_SECONDS:g} s at most, then end open transactions",
        f"make {old} read-only; make {candidate} the writer once it has every transaction",
        f"lead {edges} to {candidate} and let connections in again",
        f"let {old} and every other server follow {candidate}; see that {old} takes no write",
    ]


@dataclass
class Switchover:
    """One switchover, from the present writer to `candidate`, over sessions that are open already."""

    view: View
    situation: Situation
    candidate: str
    sources: dict[str, Source]
    say: Callable[[str], None] = say_on_stderr
    hold: bool = True
    timeline: Timeline = field(default_factory=Timeline)

    def __post_init__(self) -> None:
        """Name the two servers and the listener."""
        self.old_name = the_writer(self.situation).host
        self.old: Session = self.view.databases[self.old_name]
        self.new: Session = self.view.databases[self.candidate]
        limits = {name: edge.limit for name, edge in self.situation.edges.items()}
        self.listener = Listener(self.view.proxies, limits)

    def run(self) -> Timeline:
        """Carry it out; raises PerennialError that says what state was left."""
        for number in range(1, TRIES + 1):
            self.timeline = Timeline(tries=number)
            try:
                final = self._attempt()
            except NotQuietError as error:
                self.say(f"nothing was switched over, {self.old_name} writes as before: {error}")
                if number == TRIES:
                    raise refused(error.what, self.old_name, "perennial fleet switchover, later") from error
                time.sleep(REST_SECONDS)
            else:
                self._settle(final)
                break
        return self.timeline

    def _attempt(self) -> dict[Origin, int]:
        """Hold, hand over, release; return all that the old server wrote."""
        with ThreadPoolExecutor(max_workers=1) as beside:
            with signals_wait(), self._held() as begin:
                self._drain()
                final = self._close_old(begin)
                following = self._promote(beside)
            following.result()
        return final

    @contextmanager
    def _held(self) -> Iterator[float]:
        begin = time.monotonic()
        if self.hold:
            self.listener.hold(HOLD_SECONDS)
        try:
            yield begin
        finally:
            if self.hold:
                self.listener.release()
            self.timeline.held = round(time.monotonic() - begin, 4)

    def _step(self, name: str, begin: float) -> None:
        self.timeline.steps[name] = round(time.monotonic() - begin, 4)

    def _drain(self) -> None:
        """Wait for sessions that have just begun: they would write to a server that refuses it."""
        begin = time.monotonic()
        while self.hold:
            young, busy = self.listener.young_sessions(), act.busy(self.old)
            self.timeline.left = young
            # One that has just begun and is idle is kept by its client, as is a busy one that is old: such a
            # client sends a refused write once more.
            if not young or not busy:
                break
            if time.monotonic() - begin > DRAIN_SECONDS:
                raise NotQuietError(f"{young} sessions that had just begun did not end", where=self.old_name)
        self.timeline.ended = act.end_transactions(self.old)
        self.timeline.drain = round(time.monotonic() - begin, 4)

    def _close_old(self, held: float) -> dict[Origin, int]:
        """Return all that the old server wrote, once it takes no more and the new server has everything."""
        begin = time.monotonic()
        try:
            self.old.arm(UNDO_SECONDS, [act.WRITABLE], act.READ_ONLY, guard=READ_ONLY_SECONDS)
            self._step("read-only", begin)
            final = act.position(self.old)
            act.wait_for(self.new, final, CATCH_UP_SECONDS)
            self._step("caught-up", begin)
            before = look(self.old).transactions
            self._require_in_time(held)
        except PerennialError as error:
            self._undo()
            raise NotQuietError(error.what, where=error.where) from error
        return before

    def _require_in_time(self, held: float) -> None:
        """Raise PerennialError where it has taken too long: after this nothing is undone by itself."""
        if self.hold and time.monotonic() - held > HOLD_MOST_SECONDS:
            raise PerennialError("clients have waited for too long", where=self.old_name)
        self.old.disarm()
        if self.old.fired:
            raise PerennialError("took writes again before the new one was ready", where=self.old_name)

    def _undo(self) -> None:
        """Make the old server the writer again; one that cannot be told does so by itself."""
        try:
            self.old.disarm(act.WRITABLE)
        except PerennialError as error:
            self.say(f"{self.old_name} takes writes again by itself within {UNDO_SECONDS:g} s: {error}")

    def _promote(self, beside: ThreadPoolExecutor) -> Future[None]:
        """Make the new server the writer; from here on there is no way back but another switchover."""
        begin = time.monotonic()
        try:
            act.promote(self.new, acknowledged=True)
        except PerennialError as error:
            raise self._not_promoted(error) from error
        self._step("promoted", begin)
        act.wait_until_answered(self.old, ANSWER_SECONDS)
        # The first commit on the new writer waits for a replica's acknowledgement, so this is not put off.
        following = beside.submit(act.follow, self.old, self.sources[self.candidate])
        self.listener.lead_to(self.candidate)
        self._step("led", begin)
        return following

    def _not_promoted(self, error: PerennialError) -> PerennialError:
        """Undo where the new server says that it is still read-only; say what was left otherwise."""
        try:
            if look(self.new).read_only:
                self.old.do(act.WRITABLE)
                what = f"nothing was switched over, {self.old_name} writes as before: {error}"
                return PerennialError(what, next_=f"perennial fleet rejoin {self.candidate}")
        except PerennialError as unknown:
            self.say(str(unknown))
        what = f"{self.candidate} was to become the writer and did not answer; {self.old_name} is read-only"
        return PerennialError(f"{what}: {error}", next_="perennial fleet failover", code=Exit.ROLLBACK_FAILED)

    def _settle(self, final: dict[Origin, int]) -> None:
        """See the old server follow and take no write, and every edge keep to the new one."""
        for name, session in self.view.databases.items():
            if name not in {self.candidate, self.old_name}:
                act.follow(session, self.sources[self.candidate])
        for name, session in self.view.databases.items():
            if name != self.candidate:
                act.wait_until_following(session)
        act.wait_until_acknowledged(self.new)
        self.listener.keep_leading(self.candidate, FENCE_SECONDS)
        self._require_fenced(final)
        self.say(
            f"{self.candidate} writes, {self.old_name} follows; writes waited {self.timeline.held:.3f} s"
        )

    def _require_fenced(self, before: dict[Origin, int]) -> None:
        """Raise PerennialError (6) where the old server wrote after it was read-only."""
        now = look(self.old)
        own = {key: last for key, last in now.transactions.items() if key[1] == now.server_id}
        if moved := missing(before, own):
            what = f"took writes after it was read-only: {listed(moved)}"
            raise PerennialError(
                what,
                where=self.old_name,
                next_="perennial runbook show MariaDBTwoWriters",
                code=Exit.INTEGRITY,
            )
