# SPDX-License-Identifier: Apache-2.0
"""What every database server and edge says of itself at one moment; decisions are made from this alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from infra.fleet.database import gtid
from infra.fleet.session import SessionError, SessionLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infra.fleet.session import Kind, Session, Sessions
    from infra.spec import Platform

A = TypeVar("A")
B = TypeVar("B")
LISTENER = "database"

VARIABLES = """SELECT @@global.server_id AS server_id, @@global.read_only AS read_only,
  @@global.gtid_binlog_state AS binlog_state, @@global.gtid_slave_pos AS replica_position,
  @@global.gtid_binlog_pos AS binlog_position, @@global.gtid_current_pos AS current_position"""
STATUS = """SELECT LOWER(variable_name) AS name, variable_value AS value FROM information_schema.global_status
  WHERE variable_name IN ('rpl_semi_sync_master_status', 'rpl_semi_sync_master_clients',
    'rpl_semi_sync_slave_status', 'uptime')"""
REPLICA = "SHOW REPLICA STATUS"
# Of replication's own threads and of looks like this one no transaction counts.
TRANSACTION = """SELECT COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, trx_started, NOW(6))), 0) / 1e6 AS seconds
  FROM information_schema.innodb_trx JOIN information_schema.processlist ON id = trx_mysql_thread_id
  WHERE user <> 'system user' AND id <> CONNECTION_ID()"""


@dataclass(frozen=True)
class Server:
    """One server as it answered; `replica` are its columns of SHOW REPLICA STATUS, empty without one."""

    host: str
    server_id: int
    read_only: bool
    binlog_state: str = ""
    replica_position: str = ""
    current_position: str = ""
    replica: dict[str, Any] = field(default_factory=dict)
    semi_sync_waits: bool = False
    semi_sync_clients: int = 0
    uptime: float = 0
    transaction_seconds: float = 0

    @cached_property
    def transactions(self) -> dict[gtid.Origin, int]:
        """Return everything this server has: of its binary log and of what it has applied."""
        return gtid.parse(self.binlog_state, self.replica_position)

    @property
    def received(self) -> dict[gtid.Origin, int]:
        """Return what it has with what it received and has not applied yet."""
        return gtid.union(self.transactions, gtid.parse(str(self.replica.get("Gtid_IO_Pos") or "")))

    @property
    def follows(self) -> bool:
        """Tell whether both threads of replication run."""
        threads = (self.replica.get("Slave_IO_Running"), self.replica.get("Slave_SQL_Running"))
        return threads == ("Yes", "Yes")

    @property
    def lag(self) -> float | None:
        """Return seconds behind its source, None where it does not know."""
        found = self.replica.get("Seconds_Behind_Master")
        return None if found is None else float(found)


@dataclass(frozen=True)
class Edge:
    """One edge's listener: most connections it takes (0: held), and servers with their status."""

    host: str
    limit: int
    servers: dict[str, str]

    @property
    def up(self) -> list[str]:
        """Return the servers that get connections."""
        return [name for name, status in self.servers.items() if status.startswith("UP")]


@dataclass(frozen=True)
class Situation:
    """All of it: servers that answered, why others did not, and the same of edges."""

    servers: dict[str, Server]
    silent: dict[str, str]
    edges: dict[str, Edge]
    silent_edges: dict[str, str]

    @property
    def writers(self) -> list[Server]:
        """Return the servers that take writes."""
        return [server for server in self.servers.values() if not server.read_only]


def look(session: Session) -> Server:
    """Return what a database server says; raise PerennialError where it does not."""
    variables, status, replica, transaction = session.do([VARIABLES], [STATUS], [REPLICA], [TRANSACTION])
    known, counters = variables[0], {row["name"]: row["value"] for row in status}
    return Server(
        session.host,
        int(known["server_id"]),
        bool(int(known["read_only"])),
        known["binlog_state"].replace("\n", ""),
        known["replica_position"],
        known["current_position"],
        dict(replica[0]) if replica else {},
        counters.get("rpl_semi_sync_master_status") == "ON",
        int(counters.get("rpl_semi_sync_master_clients", 0)),
        float(counters.get("uptime", 0)),
        float(transaction[0]["seconds"]),
    )


def stat(text: str) -> tuple[int, dict[str, str]]:
    """Return limit and servers of the listener from HAProxy's `show stat`."""
    lines = text.lstrip("# ").strip().splitlines()
    header = lines[0].split(",")
    rows = [dict(zip(header, line.split(","), strict=False)) for line in lines[1:]]
    own = {row["svname"]: row for row in rows if row["pxname"] == LISTENER}
    servers = {name: row["status"] for name, row in own.items() if name not in {"FRONTEND", "BACKEND"}}
    return int(own["FRONTEND"]["slim"]), servers


def look_at_edge(session: Session) -> Edge:
    """Return what an edge says of its listener."""
    return Edge(session.host, *stat(session.do([f"show stat {LISTENER} -1 -1"])[0]))


@dataclass
class View:
    """Open sessions to all servers and edges of a platform, and the last look at them."""

    platform: Platform
    sessions: Sessions
    databases: dict[str, Session] = field(default_factory=dict)
    proxies: dict[str, Session] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    silent_edges: dict[str, str] = field(default_factory=dict)

    def open(self) -> View:
        """Open every session at the same time; who does not answer is remembered with the reason."""
        servers = [host.name for host in self.platform.with_role("database", enabled_only=True)]
        edges = [host.name for host in self.platform.with_role("edge", enabled_only=True)]
        wanted: list[tuple[str, Kind]] = [(name, "mariadb") for name in servers]
        wanted += [(name, "haproxy") for name in edges]
        together(self._one, wanted)
        self.databases = {name: self.databases[name] for name in servers if name in self.databases}
        self.proxies = {name: self.proxies[name] for name in edges if name in self.proxies}
        return self

    def _one(self, wanted: tuple[str, Kind]) -> None:
        name, kind = wanted
        try:
            made = self.sessions.open(name, kind)
        except SessionLostError as error:
            (self.silent if kind == "mariadb" else self.silent_edges)[name] = error.what
        else:
            (self.databases if kind == "mariadb" else self.proxies)[name] = made

    def situation(self) -> Situation:
        """Look at all of them at the same time."""
        servers, silent = _asked(self.databases, look, self.silent)
        edges, silent_edges = _asked(self.proxies, look_at_edge, self.silent_edges)
        return Situation(servers, silent, edges, silent_edges)


def _asked(
    sessions: dict[str, Session], question: Callable[[Session], A], silent: dict[str, str]
) -> tuple[dict[str, A], dict[str, str]]:
    answers: dict[str, A] = {}
    failed = dict(silent)

    def one(session: Session) -> None:
        """Ask one; keep the answer, or why there is none."""
        try:
            answers[session.host] = question(session)
        except (SessionError, SessionLostError) as error:
            failed[session.host] = error.what

    together(one, sessions.values())
    return {name: answers[name] for name in sessions if name in answers}, failed


def together(act: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """Do the same to several at the same time; return the results in order, raise the first error."""
    given = list(items)
    with ThreadPoolExecutor(max_workers=max(1, len(given))) as workers:
        return list(workers.map(act, given))
