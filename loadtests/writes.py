# SPDX-License-Identifier: Apache-2.0
"""Open-loop writers with a ledger: one-row inserts through the database listener, comments through the site.

Each insert opens a TLS connection of its own, as PHP does for a request, from an application host (its SSH
connection forwards a port), with the site's account. Afterwards the tables are read on the writer: what was
acknowledged and is not there is lost, what is there twice is doubled.
"""

from __future__ import annotations

import queue
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import httpx
import pymysql

from infra.fleet.remote import reach
from loadtests.probe import Attempt, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from infra.inventory import Fleet
    from loadtests.probe import Target

TABLE = "perennial_ledger"
TIMEOUT_SECONDS = 10.0
WORKERS = 120
FORWARD_SECONDS = 15.0


@dataclass(frozen=True)
class Audit:
    """What a table says of a ledger: acknowledged tokens that it lacks, and tokens that it has twice."""

    lost: tuple[str, ...]
    doubled: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Tell whether nothing was lost or doubled."""
        return not self.lost and not self.doubled


def audit(ledger: Ledger, stored: Iterable[str]) -> Audit:
    """Compare a ledger with the tokens that are stored."""
    found = Counter(stored)
    lost = tuple(attempt.token for attempt in ledger.acknowledged if not found[attempt.token])
    sent = {attempt.token for attempt in ledger.attempts}
    return Audit(lost, tuple(token for token in sorted(sent) if found[token] > 1))


def longest_gap(ledger: Ledger, begin: float = 0.0, end: float = float("inf")) -> float:
    """Return the longest time (s) between two acknowledgements that ends within `begin` to `end`."""
    times = sorted(attempt.done for attempt in ledger.acknowledged)
    gaps = [late - early for early, late in pairwise(times) if begin <= late <= end]
    return max(gaps, default=0.0)


@dataclass(frozen=True)
class Account:
    """How a site reaches its database through the listener; the password never shows in its repr."""

    listener: str
    user: str
    password: str = field(repr=False)
    trust: ssl.SSLContext = field(repr=False)

    def connect(self, port: int) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """Open a verified TLS connection through the forwarded `port`."""
        connection = pymysql.connect(
            host=self.listener, user=self.user, password=self.password, database=self.user, ssl=self.trust,
            read_timeout=TIMEOUT_SECONDS, write_timeout=TIMEOUT_SECONDS, autocommit=True, defer_connect=True,
        )  # fmt: skip
        connection.connect(socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS))
        return connection


def account(fleet: Fleet) -> Account:
    """Return the account of the first site."""
    site = next(iter(fleet.platform.sites))
    trust = ssl.create_default_context(cadata=fleet.secret("authority")["certificate"])
    listener = f"db.{fleet.platform.environment.internal_domain}"
    user = f"wordpress_{site.replace('-', '_')}"
    return Account(listener, user, fleet.secret(f"db-app-{site}")["value"], trust)


@contextmanager
def forwarded(fleet: Fleet) -> Iterator[int]:
    """Forward a local port, by the SSH connection of an application host, to the database listener."""
    host = fleet.platform.with_role("app", enabled_only=True)[0].name
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    to = f"{fleet.platform.environment.vip.address}:{fleet.platform.services['database-listener'].port}"
    argv = reach(fleet, host).argv("")[:-1]
    # A connection of its own: the shared one would leave the port open after this.
    own = ["-oControlMaster=no", "-oControlPath=none", "-oExitOnForwardFailure=yes"]
    process = subprocess.Popen([argv[0], *own, "-N", "-L", f"127.0.0.1:{port}:{to}", *argv[1:]])
    try:
        _await_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + FORWARD_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as tried:
            tried.settimeout(1)
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise OSError("the forwarding to the database listener does not start")


class Writer:
    """Calls `write` with a new token at a fixed rate for the block, however long earlier calls take."""

    def __init__(self, write: Callable[[str], None], rate: float, *, workers: int = WORKERS) -> None:
        """Prepare; `write` raises on a failure."""
        self.write, self.rate, self.ledger = write, rate, Ledger()
        self.begin = 0.0
        self._stop = threading.Event()
        self._due: queue.SimpleQueue[tuple[int, float] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        self._clock = threading.Thread(target=self._tick, daemon=True)

    def now(self) -> float:
        """Return the seconds since the first write was due."""
        return time.monotonic() - self.begin

    def __enter__(self) -> Writer:
        """Start writing."""
        self.begin = time.monotonic()
        for thread in (*self._threads, self._clock):
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and wait for the answers under way."""
        self.stop()

    def stop(self) -> None:
        """Stop writing and wait for the answers under way; a second call does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._clock.join()
        for _ in self._threads:
            self._due.put(None)
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS * 3)

    def _tick(self) -> None:
        number = 0
        while not self._stop.is_set():
            due = number / self.rate
            time.sleep(max(0.0, due - self.now()))
            self._due.put((number, due))
            number += 1

    def _work(self) -> None:
        while (item := self._due.get()) is not None:
            number, due = item
            token = f"{int(self.begin * 1000)}-{number}"
            status, problem = 200, ""
            try:
                self.write(token)
            except (pymysql.MySQLError, OSError, httpx.HTTPError) as error:
                status, problem = 0, f"{type(error).__name__}: {error}"
            self.ledger.attempts.append(Attempt(number, token, due, self.now(), status, problem))


def insert(given: Account, port: int) -> Callable[[str], None]:
    """Return what inserts one row over a connection of its own."""

    def write(token: str) -> None:
        """Insert the token."""
        connection = given.connect(port)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"INSERT INTO {TABLE} (token) VALUES (%s)", (token,))  # noqa: S608
        finally:
            connection.close()

    return write


@contextmanager
def table(given: Account, port: int) -> Iterator[None]:
    """Make the ledger's table for the block; a token may stand there twice, so that doubles are seen."""
    make = f"CREATE TABLE IF NOT EXISTS {TABLE} (id BIGINT AUTO_INCREMENT PRIMARY KEY, token VARCHAR(64))"
    _execute(given, port, f"DROP TABLE IF EXISTS {TABLE}")
    _execute(given, port, make)
    try:
        yield
    finally:
        _execute(given, port, f"DROP TABLE IF EXISTS {TABLE}")


def _execute(given: Account, port: int, statement: str) -> list[tuple[str, ...]]:
    connection = given.connect(port)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())
    finally:
        connection.close()


def stored(given: Account, port: int) -> list[str]:
    """Return every token in the ledger's table on the present writer."""
    return [row[0] for row in _execute(given, port, f"SELECT token FROM {TABLE}")]  # noqa: S608


@dataclass(frozen=True)
class Commenter:
    """Somebody logged in who comments on one post through the site's own way."""

    fleet: Fleet
    site: Target
    user: str
    password: str = field(repr=False)
    post: int

    def write(self, token: str) -> None:
        """Comment with the token; raises httpx.HTTPError where the site does not acknowledge it."""
        with httpx.Client(verify=self.site.context(), timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            answer = client.post(
                f"https://{self.site.address}:{self.site.port}/wp-json/wp/v2/comments",
                json={"post": self.post, "content": token},
                auth=(self.user, self.password),
                headers={"Host": self.site.domain},
                extensions={"sni_hostname": self.site.domain},
            )
            answer.raise_for_status()

    def stored(self, given: Account, port: int) -> list[str]:
        """Return the content of every comment of the post."""
        query = f"SELECT comment_content FROM wp_comments WHERE comment_post_ID = {self.post:d}"  # noqa: S608
        return [row[0] for row in _execute(given, port, query)]
