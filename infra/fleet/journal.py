# SPDX-License-Identifier: Apache-2.0
"""The audit journal: every act on a fleet leaves a START and an END line, whatever happens between them."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.fleet import audit_delivery
from infra.fleet.exits import Exit, Interrupted, PerennialError
from infra.fleet.identity import Identity, current
from infra.inventory.fleet import STATE_DIRECTORY, on_control_host
from infra.release import commit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import FrameType

    from infra.fleet.lock import Lock
    from infra.inventory import Fleet

CONTROL_JOURNAL = Path("/var/lib/perennial/journal")
CRASHED = "crashed"


def say_on_stderr(text: str) -> None:
    """Print one line where a person sees it and a pipe does not."""
    print(text, file=sys.stderr, flush=True)


def journal_directory(environment: str) -> Path:
    """Return where the journal of `environment` is kept on this machine."""
    return CONTROL_JOURNAL if on_control_host() else STATE_DIRECTORY / environment


@dataclass
class Journal:
    """Append-only lines of JSON in one file; several processes may write at once."""

    environment: str
    directory: Path

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.directory / "journal.jsonl"

    def append(self, line: dict[str, Any]) -> None:
        """Write one whole line and wait until it is on disk; lines of different processes never mix."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        with os.fdopen(descriptor, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())

    def lines(self) -> list[dict[str, Any]]:
        """Return all lines, oldest first; a line cut short by a power loss is left out."""
        if not self.path.exists():
            return []
        found = []
        for text in self.path.read_text("utf-8", errors="replace").splitlines():
            try:
                found.append(json.loads(text))
            except json.JSONDecodeError:
                continue
        return found

    def unfinished(self) -> list[dict[str, Any]]:
        """Return START lines of this machine whose process is over and which have no END."""
        lines = self.lines()
        ended = {line["id"] for line in lines if line["event"] == "END"}
        starts = [line for line in lines if line["event"] == "START" and line["id"] not in ended]
        return [line for line in starts if Identity(**line["process"]).is_dead()]


@dataclass
class Act:
    """One act on a fleet while it goes on; `lock` is the one it holds, for those who act within it."""

    journal: Journal
    command: str
    reason: str
    hosts: list[str]
    say: Callable[[str], None]
    fleet: Fleet | None = None
    lock: Lock | None = None
    outcome: Exit = Exit.DONE
    changed: set[str] = field(default_factory=set)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    begun: float = field(default_factory=time.monotonic)

    def attach(self, fleet: Fleet) -> None:
        """Name the fleet once it exists, so that the lines so far, and the end, reach its control hosts."""
        self.fleet = fleet
        self._deliver()

    def change(self, *hosts: str) -> None:
        """Record that `hosts` were changed by this act; the END line lists them."""
        self.changed.update(hosts)

    def _line(self, event: str) -> dict[str, Any]:
        me = current()
        return {
            "schema": "audit/1",
            "event": event,
            "id": self.id,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "person": f"{me.person}@{me.machine}",
            "process": me.as_data(),
            "environment": self.journal.environment,
            "command": self.command,
            "reason": self.reason,
            "hosts": sorted(self.hosts),
            "commit": commit(),
        }

    def start(self) -> None:
        """Write START, after an END for every earlier act of this machine that died without one."""
        for dead in self.journal.unfinished():
            self.say(
                f"an earlier act did not end: {dead['command']} by {dead['person']}, begun {dead['time']}"
            )
            self.journal.append({**dead, "event": "END", "outcome": CRASHED, "reported_by": self.id})
        self.journal.append(self._line("START"))
        self._deliver()

    def end(self, outcome: Exit, detail: str) -> None:
        """Write END with outcome, seconds, and the hosts that were changed."""
        line = self._line("END") | {
            "outcome": outcome.outcome,
            "exit_code": int(outcome),
            "detail": detail,
            "seconds": round(time.monotonic() - self.begun, 3),
            "changed": sorted(self.changed),
        }
        self.journal.append(line)
        self._deliver()

    def _deliver(self) -> None:
        for problem in audit_delivery.deliver(self.journal.path, self.journal.environment, self.fleet):
            self.say(f"warning: {problem}")


@contextmanager
def act(
    environment: str,
    command: str,
    *,
    reason: str,
    hosts: Iterable[str],
    fleet: Fleet | None = None,
    say: Callable[[str], None] = say_on_stderr,
    directory: Path | None = None,
) -> Iterator[Act]:
    """Frame an act on `hosts` of `environment` with START and END lines.

    END is written on success, on any exception and on SIGINT, SIGTERM and SIGHUP (outcome `interrupted`).
    Without a fleet (the first `make up`) lines are kept here, delivered after `Act.attach` or by the next
    act.
    """
    journal = Journal(environment, directory or journal_directory(environment))
    record = Act(journal, command, reason, list(hosts), say, fleet)
    with _signals_raise():
        record.start()
        outcome, detail = Exit.FAILED, ""
        try:
            yield record
            outcome = record.outcome
        except BaseException as error:
            outcome, detail = outcome_of(error), _first_line(error)
            raise
        finally:
            with signals_wait():
                record.end(outcome, detail)


def outcome_of(error: BaseException) -> Exit:
    """Return the exit code that an exception stands for; an error with a code of the table keeps it."""
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, PerennialError):
        return error.code
    given = error.code if isinstance(error, SystemExit) else getattr(error, "exit_code", Exit.FAILED)
    if isinstance(error, SystemExit) and given is None:
        return Exit.DONE
    return Exit(given) if isinstance(given, int) and given in set(Exit) else Exit.FAILED


def _first_line(error: BaseException) -> str:
    """Return the kind of error and its first line, bounded: a message may quote a whole output."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:300]


SIGNALS: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception in the main thread; other threads cannot have handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        """Raise Interrupted with the name of the signal."""
        del frame
        raise Interrupted(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_wait() -> Iterator[None]:
    """Hold signals back for the block: what is short and must be whole, as the END line."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *SIGNALS})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
