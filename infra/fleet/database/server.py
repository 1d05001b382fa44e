# SPDX-License-Identifier: Apache-2.0
"""What is done to one database server: made read-only, promoted, set to follow; each over an open session."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.fleet.database.state import REPLICA, look
from infra.fleet.exits import PerennialError
from infra.fleet.session import SessionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.fleet.session import Session
    from infra.inventory import Fleet
    from infra.spec import Host

POLL_SECONDS = 0.005
FOLLOW_SECONDS = 30.0
READ_ONLY = ["SET GLOBAL read_only = ON"]
WRITABLE = ["SET GLOBAL read_only = OFF"]
# A server that gave up waiting, as every replica has, waits again after a commit was acknowledged, or so:
WAIT_AGAIN = (
    ["SET GLOBAL rpl_semi_sync_master_enabled = OFF"],
    ["SET GLOBAL rpl_semi_sync_master_enabled = ON"],
)
POSITION = ["SELECT @@global.gtid_binlog_pos AS position"]
# As role database sets it (module mariadb_topology), so that the next converge finds nothing to do.
HEARTBEAT_SECONDS = 2
RETRY_SECONDS = 2
AUTHORITY = "/etc/perennial/tls/ca.crt"
FOLLOW = """CHANGE MASTER TO MASTER_HOST=%s, MASTER_PORT=%s, MASTER_USER=%s, MASTER_PASSWORD=%s,
  MASTER_SSL=1, MASTER_SSL_CA=%s, MASTER_SSL_VERIFY_SERVER_CERT=1, MASTER_USE_GTID=slave_pos,
  MASTER_CONNECT_RETRY=%s, MASTER_HEARTBEAT_PERIOD=%s"""
FOLLOW_VALUES = (AUTHORITY, RETRY_SECONDS, HEARTBEAT_SECONDS)
IDLE_MS = 80
NO_SUCH_THREAD = "(1094,"
# Clients that do something, or are about to: a session that was idle for a moment is one that is kept.
CLIENTS = """FROM information_schema.processlist WHERE command NOT LIKE 'Binlog Dump%'
  AND user NOT IN ('system user', 'replication', 'root', 'prometheus', 'perennial-role', 'event_scheduler')"""
BUSY = f"SELECT COUNT(*) AS busy {CLIENTS} AND NOT (command = 'Sleep' AND time_ms > {IDLE_MS})"
ASKING = f"SELECT COUNT(*) AS asking {CLIENTS} AND command NOT IN ('Sleep', 'Connect')"
OPEN_TRANSACTIONS = """SELECT id FROM information_schema.innodb_trx
  JOIN information_schema.processlist ON id = trx_mysql_thread_id
  WHERE user <> 'system user' AND id <> CONNECTION_ID() AND command = 'Sleep'"""


@dataclass(frozen=True)
class Source:
    """The server to replicate from; the password never shows in its repr."""

    host: str
    address: str
    port: int
    user: str
    password: str

    def __repr__(self) -> str:
        """Return it without the password."""
        return f"Source({self.host})"


def source_of(fleet: Fleet, host: Host) -> Source:
    """Return how other servers replicate from `host`."""
    port = fleet.platform.services["mariadb"].port
    return Source(host.name, host.fqdn, port, "replication", fleet.secret("db-replication")["value"])


def busy(session: Session) -> int:
    """Return how many clients have something under way."""
    return int(session.do([BUSY])[0][0]["busy"])


def wait_until_answered(session: Session, seconds: float) -> None:
    """Return when no client waits for an answer, at the latest after `seconds`.

    Who is cut off between a commit and its answer writes a second time.
    """
    until = time.monotonic() + seconds
    while session.do([ASKING])[0][0]["asking"] and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def end_transactions(session: Session) -> int:
    """End the sessions that do nothing within an open transaction and return how many those were.

    A statement under way is left alone: its client would not know whether it was committed, and write twice.
    """
    ended = 0
    for row in session.do([OPEN_TRANSACTIONS])[0]:
        try:
            session.do([f"KILL SOFT CONNECTION {int(row['id'])}"])
        except SessionError as error:
            if NO_SUCH_THREAD not in error.what:  # it has ended by itself
                raise
        else:
            ended += 1
    return ended


def position(session: Session) -> str:
    """Return the newest transactions of the binary log."""
    return str(session.do(POSITION)[0][0]["position"])


def wait_for(session: Session, gtids: str, seconds: float) -> None:
    """Return when the server has applied `gtids`; raise PerennialError after `seconds`."""
    query: Sequence[Any] = ["SELECT MASTER_GTID_WAIT(%s, %s) AS timed_out", gtids, seconds]
    if gtids and session.do(query, timeout=seconds + 5)[0][0]["timed_out"]:
        raise PerennialError(f"does not have {gtids} after {seconds:g} s", where=session.host)


def promote(session: Session, *, acknowledged: bool) -> None:
    """Stop following and take writes; with `acknowledged` the first commit waits for a replica already."""
    again = WAIT_AGAIN if acknowledged else ()
    session.do(["STOP ALL REPLICAS"], ["RESET REPLICA ALL"], *again, WRITABLE)


def wait_until_acknowledged(session: Session, seconds: float = FOLLOW_SECONDS) -> None:
    """Return when the writer waits for a replica; one that gave up waiting is switched anew."""
    until = time.monotonic() + seconds
    while not (now := look(session)).semi_sync_clients:
        if time.monotonic() > until:
            raise PerennialError(
                f"no replica acknowledges within {seconds:g} s",
                where=session.host,
                next_="perennial runbook show SemiSyncOff",
            )
        time.sleep(0.05)
    if not now.semi_sync_waits:
        session.do(*WAIT_AGAIN)


def follow(session: Session, source: Source) -> None:
    """Replicate from `source`, beginning after the newest transaction that is here; stay read-only."""
    session.do(
        READ_ONLY,
        ["STOP ALL REPLICAS"],
        # A former writer's own transactions are in its binary log only; the position has to know them.
        ["SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos"],
        [FOLLOW, source.address, source.port, source.user, source.password, *FOLLOW_VALUES],
        ["START REPLICA"],
    )


def wait_until_following(session: Session, seconds: float = FOLLOW_SECONDS) -> None:
    """Return when both threads run; raise PerennialError with the server's own words."""
    until = time.monotonic() + seconds
    while True:
        status = (session.do([REPLICA])[0] or [{}])[0]
        if (status.get("Slave_IO_Running"), status.get("Slave_SQL_Running")) == ("Yes", "Yes"):
            return
        said = f"{status.get('Last_IO_Error', '')} {status.get('Last_SQL_Error', '')}".strip()
        stopped = "No" in (status.get("Slave_IO_Running"), status.get("Slave_SQL_Running")) and said
        if stopped or time.monotonic() > until:
            raise PerennialError(
                f"replication does not run: {said or 'no connection yet'}",
                where=session.host,
                next_=f"perennial fleet rejoin {session.host}",
            )
        time.sleep(0.05)
