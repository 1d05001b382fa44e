# SPDX-License-Identifier: Apache-2.0
"""Two database servers and two edges in memory: they obey the statements that procedures send."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.fleet.database.server import Source
from infra.fleet.database.state import View
from infra.fleet.session import Kind, Session, SessionError, SessionLostError
from infra.spec import Platform

ADDRESS = "{}.unit.internal"


@dataclass
class Server:
    """One server: `own` is the last sequence that it wrote itself, `applied` what it has of others."""

    name: str
    identifier: int
    read_only: bool = True
    source: str = ""
    transactions: dict[int, int] = field(default_factory=dict)  # origin → newest sequence
    busy: int = 0
    semi_sync: bool = True
    transaction: float = 0

    def text(self) -> str:
        """Return what it has as GTIDs."""
        return ",".join(f"1-{origin}-{last}" for origin, last in sorted(self.transactions.items()))


@dataclass
class Edge:
    """One edge: connections its listener takes, and the server that it leads to."""

    name: str
    limit: int = 100
    up: str = "db-1"
    young: int = 0


Fault = Callable[[str, str], Exception | None]


class World:
    """db-1 writes, db-2 follows; `fault` may answer a statement of a host with an exception."""

    def __init__(self) -> None:
        """Begin healthy."""
        self.servers = {"db-1": Server("db-1", 1, read_only=False), "db-2": Server("db-2", 2, source="db-1")}
        for server in self.servers.values():
            server.transactions = {1: 10}
        self.edges = {name: Edge(name) for name in ("edge-1", "edge-2")}
        self.fault: Fault = lambda _host, _statement: None
        self.away: set[str] = set()
        self.said: list[str] = []
        self.log: list[tuple[str, str]] = []

    def open(self, host: str, kind: Kind) -> Session:
        """Open a session, as Sessions."""
        if host in self.away:
            raise SessionLostError("connection refused", where=host)
        return MemorySession(self, host, kind)

    def close(self) -> None:
        """End nothing."""

    def writers(self) -> list[str]:
        """Return who takes writes."""
        return [name for name, server in self.servers.items() if not server.read_only]

    def view(self, platform: Platform) -> View:
        """Return open sessions with all of it."""
        return View(platform, self).open()

    def sources(self) -> dict[str, Source]:
        """Return how to replicate from each."""
        return {
            name: Source(name, ADDRESS.format(name), 3306, "replication", "secret") for name in self.servers
        }


@dataclass
class MemorySession:
    """A session with one of them."""

    world: World
    host: str
    kind: Kind
    fired: int = 0
    armed: list[Sequence[Any]] = field(default_factory=list)

    def do(self, *statements: Sequence[Any], guard: float = 0, timeout: float = 10) -> list[Any]:
        """Carry out statements."""
        return [self._one(str(statement[0]), statement[1:]) for statement in statements]

    def arm(self, seconds: float, undo: Sequence[Any], *statements: Sequence[Any], guard: float = 0) -> None:
        """Carry out statements with a net below."""
        self.armed = list(undo)
        self.do(*statements)

    def disarm(self, *statements: Sequence[Any]) -> None:
        """Carry out statements and take the net away."""
        self.do(*statements)
        self.armed = []

    def _one(self, statement: str, values: Sequence[Any]) -> Any:
        self.world.log.append((self.host, statement))
        problem = self.world.fault(self.host, statement)
        if isinstance(problem, SessionLostError):  # the host carries out what is armed, then nothing answers
            armed, self.armed = self.armed, []
            self.world.fault, kept = (lambda _host, _statement: None), self.world.fault
            self.do(*armed)
            self.world.fault = kept
        if problem:
            raise problem
        if self.kind == "haproxy":
            return self._proxy(self.world.edges[self.host], statement)
        return self._database(self.world.servers[self.host], statement, values)

    def _proxy(self, edge: Edge, statement: str) -> str:
        words = statement.split()
        if words[0] == "set" and words[1] == "maxconn":
            edge.limit = int(words[-1])
        elif words[0] == "set":
            name = words[2].partition("/")[2]
            edge.up = name if words[-1] == "up" else "" if edge.up == name else edge.up
        elif "show sess" in statement:
            return "".join(
                f"0x{n:x}: proto=tcpv4 fe=database be=database age=0s x\n" for n in range(edge.young)
            )
        elif "servers state" in statement:
            return "1\n# srv_name srv_check_state\ndb-1 6\ndb-2 6\n"
        else:
            rows = [f"database,{name},{'UP' if edge.up == name else 'DOWN'}," for name in self.world.servers]
            return "\n".join(["# pxname,svname,status,slim", f"database,FRONTEND,OPEN,{edge.limit}", *rows])
        return ""

    def _database(self, server: Server, statement: str, values: Sequence[Any]) -> Any:
        if statement.startswith("SET GLOBAL read_only"):
            server.read_only = statement.endswith("ON")
        elif statement.startswith("RESET REPLICA"):
            server.source = ""
        elif statement.startswith("CHANGE MASTER"):
            server.source = str(values[0]).partition(".")[0]
        elif "MASTER_GTID_WAIT" in statement:
            source = self.world.servers[server.source]
            server.transactions = {**server.transactions, **source.transactions}
            return [{"timed_out": 0}]
        return self._asked(server, statement)

    def _asked(self, server: Server, statement: str) -> Any:
        if "AS server_id" in statement:
            known = {"server_id": server.identifier, "read_only": int(server.read_only)}
            return [known | {"binlog_state": server.text(), "replica_position": "", "current_position": ""}]
        if "global_status" in statement:
            clients = sum(other.source == server.name for other in self.world.servers.values())
            status = "ON" if server.semi_sync else "OFF"
            found = {"rpl_semi_sync_master_status": status, "rpl_semi_sync_master_clients": clients}
            return [{"name": name, "value": value} for name, value in {**found, "uptime": 1000}.items()]
        if "REPLICA STATUS" in statement:
            return [self._replica(server)] if server.source else []
        answers = {"AS seconds": [{"seconds": server.transaction}], "AS busy": [{"busy": server.busy}]}
        answers |= {"AS asking": [{"asking": 0}], "AS position": [{"position": server.text()}]}
        return next((rows for mark, rows in answers.items() if mark in statement), [])

    def _replica(self, server: Server) -> dict[str, Any]:
        alive = server.source not in self.world.away
        return {
            "Master_Host": ADDRESS.format(server.source),
            "Master_Server_Id": self.world.servers[server.source].identifier,
            "Slave_IO_Running": "Yes" if alive else "Connecting",
            "Slave_SQL_Running": "Yes",
            "Seconds_Behind_Master": 0,
            "Gtid_IO_Pos": server.text(),
        }


def refuse(host: str, part: str, *, lost: bool = False) -> Fault:
    """Return a fault: the statement with `part` in it fails on `host`, once; or the whole session is lost."""
    left = [1]

    def fault(where: str, statement: str) -> Exception | None:
        """Answer once."""
        if where == host and part in statement and left:
            if not lost:
                left.clear()
            return SessionLostError("gone", where=host) if lost else SessionError("refused", where=host)
        return None

    return fault
