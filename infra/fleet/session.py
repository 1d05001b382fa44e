# SPDX-License-Identifier: Apache-2.0
"""Sessions with MariaDB and HAProxy on hosts, opened before they are needed and answering in milliseconds.

A session can be armed: what a lost or slow caller leaves held is released by the host itself.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from infra.fleet.exits import PerennialError
from infra.fleet.remote import reach, shell_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet

Kind = Literal["mariadb", "haproxy"]
Statement = Sequence[Any]  # SQL and its values, or one command of HAProxy
OPEN_SECONDS = 15.0
ANSWER_SECONDS = 10.0


class SessionError(PerennialError):
    """The host refused a statement; the session goes on."""


class SessionLostError(PerennialError):
    """The host does not answer any more; what was armed there is carried out by the host."""


class Session(Protocol):
    """A connection to one daemon on one host; `fired` counts what the host had to release by itself."""

    host: str
    fired: int

    def do(self, *statements: Statement, guard: float = 0, timeout: float = ANSWER_SECONDS) -> list[Any]:
        """Run statements one after another and return each answer (rows, or HAProxy's text).

        After `guard` s the daemon gives a statement up. Raises SessionError, SessionLostError.
        """
        ...

    def arm(
        self, seconds: float, undo: Sequence[Statement], *statements: Statement, guard: float = 0
    ) -> None:
        """Run `statements`; the host runs `undo` after `seconds`, or when the session is lost."""
        ...

    def disarm(self, *statements: Statement) -> None:
        """Run `statements` and forget what is armed."""
        ...


class Sessions(Protocol):
    """Something that opens sessions: over SSH, or in memory for tests."""

    def open(self, host: str, kind: Kind) -> Session:
        """Return a session; raise SessionLostError where the host or the daemon does not answer."""
        ...

    def close(self) -> None:
        """End all sessions; whatever is armed is carried out."""
        ...


@cache
def program() -> str:
    """Return the text of the program that hosts run."""
    return Path(__file__).with_name("session_program.py").read_text("utf-8")


class SshSession:
    """A session through the OpenSSH client; values travel on its input and never in an argument."""

    def __init__(self, fleet: Fleet, host: str, kind: Kind) -> None:
        """Open it; raise SessionLostError where the daemon cannot be asked within 15 s."""
        self.host, self.kind, self.fired = host, kind, 0
        argv = reach(fleet, host).argv(shell_line(["python3", "-c", program(), kind], root=True))
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out(), selectors.EVENT_READ)
        self._rest = b""
        self._turn = threading.Lock()
        try:
            self._answer(OPEN_SECONDS)
        except SessionLostError:
            self.close()
            raise

    def do(self, *statements: Statement, guard: float = 0, timeout: float = ANSWER_SECONDS) -> list[Any]:
        """Run statements; see Session."""
        return self._ask({"do": statements, "guard": guard}, timeout)

    def arm(
        self, seconds: float, undo: Sequence[Statement], *statements: Statement, guard: float = 0
    ) -> None:
        """Run statements with a net below; see Session."""
        self._ask({"arm": undo, "seconds": seconds, "do": statements, "guard": guard}, ANSWER_SECONDS)

    def disarm(self, *statements: Statement) -> None:
        """Take the net away; see Session."""
        self._ask({"do": statements, "disarm": True}, ANSWER_SECONDS)

    def close(self) -> None:
        """End the session."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._selector.close()

    def _out(self) -> Any:
        return self._process.stdout

    def _ask(self, request: dict[str, Any], timeout: float) -> list[Any]:
        with self._turn:
            try:
                self._in().write((json.dumps(request) + "\n").encode())
            except OSError as error:
                raise self._lost() from error
            return self._answer(timeout)

    def _in(self) -> Any:
        return self._process.stdin

    def _answer(self, timeout: float) -> list[Any]:
        reply = json.loads(self._line(time.monotonic() + timeout))
        self.fired = reply["fired"]
        if "error" in reply:
            raise SessionError(f"{self.kind} refused: {reply['error']}", where=self.host)
        answers: list[Any] = reply["answers"]
        return answers

    def _line(self, until: float) -> bytes:
        while b"\n" not in self._rest:
            if not self._selector.select(max(0.0, until - time.monotonic())):
                raise SessionLostError(f"{self.kind} does not answer in time", where=self.host)
            read = self._out().read(65536)
            if not read:
                raise self._lost()
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _lost(self) -> SessionLostError:
        self._process.wait(5)
        said = self._process.stderr.read().decode(errors="replace").strip() if self._process.stderr else ""
        last = (said.splitlines() or ["the connection ended"])[-1]
        return SessionLostError(f"{self.kind} cannot be asked: {last}", where=self.host)


class SshSessions:
    """Sessions with the hosts of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Open none yet."""
        self._fleet = fleet
        self._open: list[SshSession] = []

    def open(self, host: str, kind: Kind) -> Session:
        """Open one; see Sessions."""
        session = SshSession(self._fleet, host, kind)
        self._open.append(session)
        return session

    def close(self) -> None:
        """End all."""
        while self._open:
            self._open.pop().close()


@contextmanager
def sessions(fleet: Fleet) -> Iterator[SshSessions]:
    """Hold sessions for the block."""
    made = SshSessions(fleet)
    try:
        yield made
    finally:
        made.close()
