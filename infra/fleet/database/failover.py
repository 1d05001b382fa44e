# SPDX-License-Identifier: Apache-2.0
"""Failover: no server takes writes, the one that has every transaction starts to.

With semi-synchronous replication on at the loss, a replica had received each commit before its client heard
of it, so that nothing acknowledged is lost. Where that is not known, a person has to say so by name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.fleet.database import server as act
from infra.fleet.database.decisions import elect, lost_writer
from infra.fleet.database.listener import Listener
from infra.fleet.exits import PerennialError
from infra.fleet.journal import say_on_stderr
from infra.fleet.remote import must

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.fleet.database.server import Source
    from infra.fleet.database.state import Server, Situation, View
    from infra.fleet.remote import Runner

NOTICE_SECONDS = 5.0  # within which an edge has seen that a server is gone (role edge: two checks)
APPLY_SECONDS = 20.0
ON, OFF, UNKNOWN = "on", "off", "unknown"


@dataclass(frozen=True)
class Loss:
    """What was lost: the writer ('' where every server answers) and its semi-synchronous replication then."""

    writer: str
    semi_sync: str
    why: str

    @property
    def certain(self) -> bool:
        """Tell whether no acknowledged commit can have been lost."""
        return not self.writer or self.semi_sync == ON


def plan(view: View, to: str = "") -> tuple[Situation, Server]:
    """Return the situation and who is to write; waits a moment for edges to see that a server is gone.

    Raises PerennialError (4) where a guard refuses.
    """
    until = time.monotonic() + NOTICE_SECONDS
    while True:
        situation = view.situation()
        try:
            return situation, elect(situation, to)
        except PerennialError:
            if situation.writers or not situation.silent or time.monotonic() > until:
                raise
        time.sleep(0.5)


def loss(situation: Situation, candidate: Server, query: Callable[[str], list[str]]) -> Loss:
    """Return what is known of the moment of the loss, from the last scrape of the lost writer.

    Between that scrape and the loss replication may have been cut; a candidate that was restarted since, or
    whose thread was stopped, says unknown.
    """
    writer = lost_writer(situation, candidate)
    if not writer:
        return Loss("", ON, "every server answers, and one has all transactions")
    status = f'rpl_semi_sync_master_status{{instance="{writer}"}}'
    moment = f"max_over_time(timestamp(mysql_global_status_{status})[15m:1s])"
    try:
        at = _number(query(moment))
        if at is None:
            return Loss(writer, UNKNOWN, f"Prometheus has no metrics of {writer} of the last 15 minutes")
        waits = _number(query(f"mysql_global_status_{status} @ {at:.3f}"))
        clients = _number(
            query(f'mysql_global_status_rpl_semi_sync_master_clients{{instance="{writer}"}} @ {at:.3f}')
        )
        age = _number(query(f"vector(time() - {at:.3f})"))
    except PerennialError as error:
        return Loss(writer, UNKNOWN, str(error))
    if not waits or not clients:
        return Loss(writer, OFF, f"{writer} did not wait for a replica at its last scrape")
    if candidate.replica.get("Slave_IO_Running") == "No":
        return Loss(writer, UNKNOWN, f"replication to {candidate.host} had been stopped")
    if age is None or candidate.uptime < age:
        return Loss(writer, UNKNOWN, f"{candidate.host} was started after the last scrape of {writer}")
    return Loss(writer, ON, f"{writer} waited for {clients:g} replica at its last scrape, {age:.0f} s ago")


def _number(lines: list[str]) -> float | None:
    return float(lines[0].rsplit(" ", 1)[1]) if lines else None


def words(situation: Situation, candidate: Server, lost: Loss) -> list[str]:
    """Return the plan for people."""
    edges = ", ".join(situation.edges) or "no edge (none answers)"
    gone = [
        f"{name} does not answer ({why}): end what is left of it" for name, why in situation.silent.items()
    ]
    return [
        f"semi-synchronous replication at the loss: {lost.semi_sync}; {lost.why}",
        *gone,
        f"make {candidate.host} the writer once it has applied all that it received",
        f"lead {edges} to {candidate.host}; let other servers that answer follow it",
    ]


@dataclass
class Failover:
    """One failover to `candidate`; `runner` reaches the hosts of servers that do not answer."""

    view: View
    situation: Situation
    candidate: str
    sources: dict[str, Source]
    runner: Runner
    say: Callable[[str], None] = say_on_stderr
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> dict[str, float]:
        """Carry it out; return the seconds from the start to each step. Raises PerennialError."""
        begin = time.monotonic()
        for name in self.situation.silent:
            self._fence(name)
        new = self.view.databases[self.candidate]
        own = self.situation.servers[self.candidate]
        if own.replica.get("Slave_SQL_Running") == "Yes":
            act.wait_for(new, str(own.replica.get("Gtid_IO_Pos") or ""), APPLY_SECONDS)
        others = [session for name, session in self.view.databases.items() if name != self.candidate]
        for session in others:
            session.do(act.READ_ONLY)
        act.promote(new, acknowledged=False)
        self.seconds["promoted"] = round(time.monotonic() - begin, 3)
        listener = Listener(
            self.view.proxies, {name: edge.limit for name, edge in self.situation.edges.items()}
        )
        listener.lead_to(self.candidate)
        listener.wait_until_leading(self.candidate)
        self.seconds["led"] = round(time.monotonic() - begin, 3)
        for session in others:
            act.follow(session, self.sources[self.candidate])
        for session in others:
            act.wait_until_following(session)
        if others:
            act.wait_until_acknowledged(new)
        self._tell()
        return self.seconds

    def _fence(self, name: str) -> None:
        """End a server that runs and does not answer; one that starts later is read-only by configuration."""
        asked = self.runner.run(name, ["systemctl", "is-active", "mariadb.service"], safe=True, timeout=15)
        if not asked.reached:
            self.say(f"{name} cannot be reached; it starts read-only when it comes back")
        elif asked.stdout.strip() not in {"inactive", "failed"}:
            kill = ["systemctl", "kill", "--signal=KILL", "mariadb.service"]
            must(self.runner.run(name, kill, timeout=20), "ending the server that does not answer")

    def _tell(self) -> None:
        self.say(f"{self.candidate} writes")
        for name in self.situation.silent:
            self.say(
                f"{name}: when its server runs again (perennial runbook show MariaDBDown), "
                f"perennial fleet rejoin {name} --env {self.view.platform.name}"
            )
