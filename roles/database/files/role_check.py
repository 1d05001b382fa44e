#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tells load balancers over HTTPS what this database server is.

`/writer` answers 200 only while the server takes writes, `/replica` only while it follows with little delay;
otherwise both answer 503 with the reason. Answers come from one connection that is kept open.
"""

from __future__ import annotations

import argparse
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pymysql
import pymysql.cursors
from https_listener import Listener

QUERY_TIMEOUT_SECONDS = 1
IDLE_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """What the load balancer gets: whether the server is what was asked for, and why."""

    yes: bool
    reason: str


class Server:
    """The database server on this host, asked over one kept connection; safe for use by several threads."""

    def __init__(self, socket: str, user: str, max_lag_seconds: int) -> None:
        self._socket, self._user, self._max_lag = socket, user, max_lag_seconds
        self._lock = threading.Lock()
        self._connection: Any = None

    def ask(self, path: str) -> Answer:
        """Return the answer to `/writer` or `/replica`; a server that cannot be asked is neither."""
        question = {"/writer": self._writer, "/replica": self._replica}[path]
        with self._lock:
            try:
                return question()
            except (pymysql.MySQLError, OSError) as error:
                self._drop()
                return Answer(yes=False, reason=f"database does not answer: {type(error).__name__}")

    def _row(self, query: str) -> dict[str, Any]:
        if self._connection is None:
            self._connection = pymysql.connect(
                unix_socket=self._socket,
                user=self._user,
                connect_timeout=QUERY_TIMEOUT_SECONDS,
                read_timeout=QUERY_TIMEOUT_SECONDS,
                write_timeout=QUERY_TIMEOUT_SECONDS,
                cursorclass=pymysql.cursors.DictCursor,
                autocommit=True,
            )
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return dict(cursor.fetchone() or {})

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(pymysql.MySQLError, OSError):
                self._connection.close()
            self._connection = None

    def _writer(self) -> Answer:
        read_only = self._row("SELECT @@global.read_only AS read_only")["read_only"]
        return Answer(yes=not read_only, reason="read-only" if read_only else "writer")

    def _replica(self) -> Answer:
        status = self._row("SHOW REPLICA STATUS")
        if not status:
            return Answer(yes=False, reason="does not replicate")
        if (status["Slave_IO_Running"], status["Slave_SQL_Running"]) != ("Yes", "Yes"):
            return Answer(yes=False, reason="replication stands still")
        lag = status["Seconds_Behind_Master"]
        if lag is None or lag > self._max_lag:
            return Answer(yes=False, reason=f"behind by {lag} s")
        return Answer(yes=True, reason=f"replica, behind by {lag} s")


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the two paths."""

    server_version = "role-check"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = IDLE_TIMEOUT_SECONDS
    wbufsize = 4096  # one segment for header and body: with two, a delayed acknowledgement costs 40 ms
    disable_nagle_algorithm = True
    database: ClassVar[Server]

    def do_GET(self) -> None:
        """Answer 200, 503, or 404 for an unknown path."""
        if self.path not in {"/writer", "/replica"}:
            self._send(404, "unknown path")
            return
        answer = self.database.ask(self.path)
        self._send(200 if answer.yes else 503, answer.reason)

    do_HEAD = do_GET  # noqa: N815

    def _send(self, code: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: a check every second would fill the journal."""


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True, help="address to listen on")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--socket", required=True, help="the database server's Unix socket")
    parser.add_argument("--user", required=True, help="account, known by the user that this program runs as")
    parser.add_argument("--max-lag", type=int, default=5, help="seconds a replica may be behind")
    return parser.parse_args()


def main() -> None:
    """Serve until stopped."""
    given = arguments()
    Handler.database = Server(given.socket, given.user, given.max_lag)
    Listener((given.address, given.port), Handler, given.certificate, given.key).serve_forever()


if __name__ == "__main__":
    main()
