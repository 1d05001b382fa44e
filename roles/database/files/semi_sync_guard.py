#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Ends a deadlock of MariaDB 11.8 in which a replica that returns keeps everybody waiting, or gets nothing.

The server's Ack_receiver::remove_slave() waits for an answer of the receiver's thread without waking it. Then
one of two things stays until the server is killed. Either the session of the returning replica holds the list
of sessions, and no login succeeds. Or the replica's old session never ends and the new one waits for it; both
threads of the replica look well. Semi-synchronous replication switched off ends the receiver's thread,
and so the wait; switched on, it begins anew. In between (milliseconds) commits wait for no replica.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pymysql

LOOK_EVERY_SECONDS = 1.0
ANSWER_SECONDS = 2  # within which a login or a query is answered by a server that is well
STUCK_SECONDS = 3.0  # an ended session is gone within milliseconds
REST_SECONDS = 10.0  # between two attempts
LOGINS = "nobody can log in"
# A replica's session that was told to end: known by its user, for the command is no longer "Binlog Dump".
ENDED = "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Killed' AND USER = 'replication'"


class UnknownError(Exception):
    """The server could not be asked; nothing follows from it."""


@dataclass
class Watch:
    """What is wrong and since when (s of a monotonic clock), and what was said last."""

    since: dict[str, float] = field(default_factory=dict)
    rest_until: float = 0.0
    said: str = ""

    def stuck(self, wrong: set[str], now: float) -> list[str]:
        """Take what is wrong at `now`; return what has been so for too long, once in REST_SECONDS at most."""
        self.since = {what: self.since.get(what, now) for what in wrong}
        long = sorted(what for what, since in self.since.items() if now - since >= STUCK_SECONDS)
        if not long or now < self.rest_until:
            return []
        self.rest_until = now + REST_SECONDS
        return long

    def say(self, text: str) -> None:
        """Say something on standard error, once until something else is said; nothing ends a repetition."""
        if text and text != self.said:
            print(text, file=sys.stderr, flush=True)
        self.said = text


class Server:
    """The server on this host: one session is kept, because in the deadlock there is no other."""

    def __init__(self, socket: str, user: str) -> None:
        self._socket, self._user = socket, user
        self._kept: Any = None

    def wrong(self) -> set[str]:
        """Return what is wrong right now; raise UnknownError where the kept session does not answer."""
        self._keep()
        try:
            session = self._login()
        except pymysql.err.OperationalError as error:
            if not isinstance(error.__context__, TimeoutError):
                raise UnknownError(str(error)) from error
            self._ask(self._kept, "SELECT 1")
            return {LOGINS}
        with session:
            return {f"replica's session {row[0]} does not end" for row in self._ask(session, ENDED)}

    def begin_anew(self) -> None:
        """Switch semi-synchronous replication off and on; raise UnknownError where that is not possible."""
        for value in ("OFF", "ON"):
            self._ask(self._kept, f"SET GLOBAL rpl_semi_sync_master_enabled = {value}")

    def _keep(self) -> None:
        """Open the kept session where there is none, and use it, so that it does not time out."""
        try:
            if self._kept is None:
                self._kept = self._login()
            self._ask(self._kept, "SELECT 1")
        except pymysql.MySQLError as error:
            raise UnknownError(str(error)) from error

    def _login(self) -> Any:
        return pymysql.connect(
            unix_socket=self._socket,
            user=self._user,
            connect_timeout=ANSWER_SECONDS,
            read_timeout=ANSWER_SECONDS,
            write_timeout=ANSWER_SECONDS,
            autocommit=True,
        )

    def _ask(self, session: Any, query: str) -> list[tuple[Any, ...]]:
        try:
            with session.cursor() as cursor:
                cursor.execute(query)
                return list(cursor.fetchall())
        except (pymysql.MySQLError, OSError) as error:
            if session is self._kept:
                self._kept = None
                with suppress(pymysql.MySQLError, OSError):
                    session.close()
            raise UnknownError(str(error)) from error


def turn(server: Server, watch: Watch, now: float) -> None:
    """Look once, and end the deadlock where there is one; what was done is said on standard error."""
    try:
        stuck = watch.stuck(server.wrong(), now)
        watch.say(f"semi-sync deadlock: {', '.join(stuck)}; switching it off and on" if stuck else "")
        if stuck:
            server.begin_anew()
    except UnknownError as error:
        watch.since.clear()
        watch.say(f"cannot ask the server: {error}")


def main() -> None:
    """Look every second until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True, help="the database server's Unix socket")
    parser.add_argument("--user", required=True, help="account, known by the user that this program runs as")
    given = parser.parse_args()
    server, watch = Server(given.socket, given.user), Watch()
    while True:
        turn(server, watch, time.monotonic())
        time.sleep(LOOK_EVERY_SECONDS)


if __name__ == "__main__":
    main()
