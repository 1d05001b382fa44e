# SPDX-License-Identifier: Apache-2.0
"""Runs on a host (Debian's Python): one connection to MariaDB or HAProxy, kept for as long as stdin is open.

One JSON request a line on stdin, one answer a line on stdout. What is armed is carried out when its time is
over or when stdin ends: whoever held something from afar and is lost leaves nothing held.
"""

import json
import os
import select
import socket
import sys
import threading
import time
import typing

HAPROXY = "/run/haproxy/admin.sock"
MARIADB = "/run/mysqld/mysqld.sock"
Statement = list[typing.Any]


class Proxy:
    """HAProxy's admin socket: a statement is one command."""

    def do(self, statement: Statement, guard: float) -> str:
        """Send a command and return its answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(guard or 5)
            client.connect(HAPROXY)
            client.sendall(statement[0].encode() + b"\n")
            return b"".join(iter(lambda: client.recv(65536), b"")).decode()

    def close(self) -> None:
        """Keep nothing open."""


class Database:
    """MariaDB over its socket, as root: a statement is SQL and its values."""

    def __init__(self) -> None:
        import pymysql  # noqa: PLC0415 - edges have no pymysql
        import pymysql.cursors  # noqa: PLC0415

        def connect() -> typing.Any:
            """Return a connection."""
            return pymysql.connect(
                unix_socket=MARIADB, user="root", autocommit=True, cursorclass=pymysql.cursors.DictCursor
            )

        # The second one is there to end a statement of the first that waits too long.
        self._first, self._second = connect(), connect()
        for connection in (self._first, self._second):
            connection.query("SET SESSION wait_timeout = 3600")

    def do(self, statement: Statement, guard: float) -> list[dict[str, typing.Any]]:
        """Run one statement and return its rows; after `guard` s the server ends it with an error."""
        kill = f"KILL QUERY {self._first.thread_id()}"
        ending = threading.Timer(guard, self._second.query, [kill])
        if guard:
            ending.start()
        try:
            with self._first.cursor() as cursor:
                cursor.execute(statement[0], statement[1:] or None)
                return list(cursor.fetchall())
        finally:
            ending.cancel()

    def close(self) -> None:
        """Say goodbye: the server would log a warning otherwise."""
        self._first.close()
        self._second.close()


class Lines:
    """Lines of stdin, waited for until a moment."""

    def __init__(self) -> None:
        self._rest = b""

    def next(self, until: float | None) -> str | None:
        """Return the next line, '' at the end of the input, None when `until` is over."""
        while b"\n" not in self._rest:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([0], [], [], left)[0]:
                return None
            read = os.read(0, 65536)
            if not read:
                return ""
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()


class Service:
    """Answers requests; `fired` counts how often what was armed had to be carried out."""

    def __init__(self, backend: typing.Any) -> None:
        self._backend = backend
        self._armed: list[Statement] = []
        self._until: float | None = None
        self.fired = 0

    def fire(self) -> None:
        """Carry out what is armed, once."""
        armed, self._armed, self._until = self._armed, [], None
        for statement in armed:
            self.fired += 1
            self._backend.do(statement, 0)

    def answer(self, request: dict[str, typing.Any]) -> dict[str, typing.Any]:
        """Carry out one request: `arm` with `seconds`, then `do`, then `disarm`."""
        if "arm" in request:
            self._armed, self._until = request["arm"], time.monotonic() + request["seconds"]
        answers = []
        for statement in request.get("do", []):
            try:
                answers.append(self._backend.do(statement, request.get("guard", 0)))
            except Exception as error:  # noqa: BLE001 - a refusal is an answer, the session goes on
                return {"error": f"{type(error).__name__}: {error}", "fired": self.fired}
        if request.get("disarm"):
            self._armed, self._until = [], None
        return {"answers": answers, "fired": self.fired}

    def serve(self, lines: Lines) -> typing.Any:
        """Answer until the input ends."""
        while True:
            line = lines.next(self._until)
            if line is None:
                self.fire()
                continue
            if not line:
                self.fire()
                return self._backend.close()
            print(json.dumps(self.answer(json.loads(line)), default=str), flush=True)


if __name__ == "__main__":
    service = Service({"haproxy": Proxy, "mariadb": Database}[sys.argv[1]]())
    print(json.dumps({"answers": [], "fired": 0}), flush=True)
    service.serve(Lines())
