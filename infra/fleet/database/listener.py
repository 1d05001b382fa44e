# SPDX-License-Identifier: Apache-2.0
"""The database listener of every edge: writes held, sessions under way waited for, the writer changed.

HAProxy accepts no connection while `maxconn` of the listener is 0: clients wait in the kernel's queue. An
edge that loses its caller lets them in again by itself.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.fleet.database.state import LISTENER, look_at_edge, together
from infra.fleet.exits import PerennialError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.fleet.session import Session

POLL_SECONDS = 0.005
WATCH_SECONDS = 0.05
SETTLE_SECONDS = 5.0  # two checks of the slowest interval of role edge
CHECK_SECONDS = 2.5  # longer than `timeout check` of role edge
CHECK_UNDER_WAY = 1  # bit of srv_check_state in HAProxy's `show servers state`
YOUNG = re.compile(rf"^(0x[0-9a-f]+): .*fe={LISTENER} .* age=0s ", re.MULTILINE)
EVERY = re.compile(rf"^(0x[0-9a-f]+): .*fe={LISTENER} ", re.MULTILINE)


def checks(action: str, servers: Iterable[str]) -> list[list[str]]:
    """Return the commands that `enable` or `disable` the checks of servers; without checks a state stays."""
    return [[f"{action} health {LISTENER}/{name}"] for name in servers]


def limit_to(connections: int) -> list[str]:
    """Return the command that lets the listener take that many connections."""
    return [f"set maxconn frontend {LISTENER} {connections}"]


def _quiet(session: Session, answers: list[str]) -> None:
    """Raise PerennialError where HAProxy answered a command with words: it has refused it."""
    said = " ".join("".join(answers).split())
    if said:
        raise PerennialError(f"HAProxy refused: {said}", where=session.host)


@dataclass
class Listener:
    """The listener on all edges at once; `limits` are the connections each took before it was held."""

    proxies: dict[str, Session]
    limits: dict[str, int]
    fresh: dict[str, set[str]] = field(default_factory=dict)

    def hold(self, seconds: float) -> None:
        """Take no new connection on any edge; each edge lets them in again after `seconds` by itself.

        Meanwhile no check runs: one that meets a server read-only would mark it down and cut its sessions.
        """

        def one(session: Session) -> None:
            """Hold one edge, then note the sessions that began within the last second."""
            servers = look_at_edge(session).servers
            undo = self._undo(session.host, servers)
            session.arm(seconds, undo, limit_to(0), *checks("disable", servers))
            self.fresh[session.host] = set(YOUNG.findall(session.do(["show sess"])[0]))

        together(one, self.proxies.values())

    def _undo(self, edge: str, servers: Iterable[str]) -> list[list[str]]:
        return [*checks("enable", servers), limit_to(self.limits[edge])]

    def release(self) -> None:
        """Take connections again on every edge; raise PerennialError naming those that do not answer."""
        failed: list[str] = []

        def one(session: Session) -> None:
            """Release one edge."""
            try:
                session.disarm(*self._undo(session.host, look_at_edge(session).servers))
            except PerennialError as error:
                failed.append(str(error))

        together(one, self.proxies.values())
        if failed:
            raise PerennialError(
                f"not told to take connections again (it does so by itself): {'; '.join(failed)}",
                next_="perennial fleet status",
            )

    def young_sessions(self) -> int:
        """Return how many sessions that had just begun when writes were held are still open."""

        def one(session: Session) -> int:
            """Count on one edge."""
            return len(self.fresh[session.host] & set(EVERY.findall(session.do(["show sess"])[0])))

        return sum(together(one, self.proxies.values()))

    def lead_to(self, writer: str) -> None:
        """Send connections to `writer` alone from now on, without waiting for the next checks.

        A check of a former writer that began before it was read-only could still say yes: it is waited for.
        """

        def one(session: Session) -> None:
            """Tell one edge."""
            others = [name for name in look_at_edge(session).servers if name != writer]
            until = time.monotonic() + CHECK_SECONDS
            while time.monotonic() < until and checked(session) & set(others):
                time.sleep(POLL_SECONDS)
            # Up first: with no server at all, HAProxy turns away what waits for one.
            commands = [[f"set server {LISTENER}/{name} health down"] for name in others]
            _quiet(session, session.do([f"set server {LISTENER}/{writer} health up"], *commands))

        together(one, self.proxies.values())

    def wait_until_leading(self, writer: str, seconds: float = SETTLE_SECONDS) -> None:
        """Return when every edge sends connections to `writer` and to no other; raise PerennialError."""
        until = time.monotonic() + seconds
        while wrong := [
            edge for edge in together(look_at_edge, self.proxies.values()) if edge.up != [writer]
        ]:
            if time.monotonic() > until:
                said = "; ".join(f"{edge.host}: {', '.join(edge.up) or 'no server'}" for edge in wrong)
                raise PerennialError(
                    f"connections are not sent to {writer} alone: {said}", next_="perennial fleet status"
                )
            time.sleep(WATCH_SECONDS)

    def keep_leading(self, writer: str, seconds: float) -> None:
        """See for `seconds` that checks confirm it; lead there again where one says otherwise."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if any(edge.up != [writer] for edge in together(look_at_edge, self.proxies.values())):
                self.lead_to(writer)
            time.sleep(WATCH_SECONDS)
        self.wait_until_leading(writer)


def checked(session: Session) -> set[str]:
    """Return the servers of the listener whose check is under way."""
    rows = session.do([f"show servers state {LISTENER}"])[0].splitlines()
    header = rows[1].lstrip("# ").split()
    servers = [dict(zip(header, row.split(), strict=False)) for row in rows[2:] if row]
    return {row["srv_name"] for row in servers if int(row["srv_check_state"]) & CHECK_UNDER_WAY}
