#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one scheduled task: never twice at once, never past its deadline, and leaves evidence of every run.

Evidence is the metrics file that node_exporter reads, a report for each day (UTC) as JSON and Markdown, and
START and END audit lines. A task may print `{"items": {"<outcome>": <count>}}` as its last line, and beside
the items `"samples"`: gauges of its own, each with name (`perennial_…`), help, labels and value.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from task_evidence import Run, Task, audit, load_json, metrics, report, updated, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

EXIT_FAILED = 1
EXIT_LOCKED = 8
EXIT_USAGE = 64
GRACE_SECONDS = 5.0
TAIL_BYTES = 32_768
# names of the runner's own metrics are not for tasks to give
OWN_NAME = re.compile(r"perennial_(?!task_)[a-z][a-z0-9_]*")
LABEL = re.compile(r"[a-z][a-z0-9_]*")


class RunInterruptedError(Exception):
    """The service manager asks the runner to end."""


def read_task(path: Path) -> Task:
    """Return the task described by `path`; unknown or missing keys are a TypeError."""
    return Task(**json.loads(path.read_text("utf-8")))


def last_line(output: str) -> dict[str, Any]:
    """Return the object that a task printed as the last line of its output; {} where it did not."""
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
    try:
        found = json.loads(last)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def items_of(said: dict[str, Any]) -> dict[str, float]:
    """Return the counts in a task's last line; {} where there are none."""
    try:
        return {str(name): float(count) for name, count in said["items"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def samples_of(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the gauges in a task's last line, all of them or, where one is no gauge of ours, none.

    One bad line makes node_exporter refuse the whole file, and with it what it says about the run.
    """
    try:
        found = [
            {
                "name": str(one["name"]), "help": " ".join(str(one["help"]).split()),
                "labels": {str(name): str(value) for name, value in one["labels"].items()},
                "value": float(one["value"]),
            }
            for one in said.get("samples", [])
        ]  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
    good = all(OWN_NAME.fullmatch(one["name"]) and all(map(LABEL.fullmatch, one["labels"])) for one in found)
    return found if good else []


class Order:
    """The service manager's order to stop: an exception, but only where a command can be ended for it.

    One that arrives while the command is being started is kept until then: raised inside Popen it would leave
    a command that nobody ends and a run that nobody records. While a run is recorded it is too late.
    """

    def __init__(self) -> None:
        """No order has come."""
        self.came = False
        self.listening = False

    def arrive(self, _signal: int, _frame: FrameType | None) -> None:
        """Take the signal; raise RunInterruptedError where that is obeyed."""
        self.came = True
        if self.listening:
            raise RunInterruptedError

    @contextlib.contextmanager
    def obeyed(self) -> Iterator[None]:
        """Raise RunInterruptedError in the block when the order comes, or came before it."""
        self.listening = True
        try:
            if self.came:
                raise RunInterruptedError
            yield
        finally:
            self.listening = False


ORDER = Order()


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started: politely, then for good."""
    for order, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, order)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            if order == signal.SIGKILL:
                return


def tail_of(file: IO[bytes]) -> str:
    """Return the end of what was written to `file`, at most TAIL_BYTES."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL_BYTES))
    return file.read().decode("utf-8", "replace")


def execute(task: Task) -> Run:
    """Run the command and return what came of it; its output goes to the journal too."""
    started, clock = datetime.now(UTC), time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        reason = ""
        try:
            process = subprocess.Popen(
                task.command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
            )
        except OSError as error:
            reason = f"cannot start {task.command[0]}: {error.strerror}"
        else:
            reason = wait(process, task.deadline_seconds)
        printed, complaints = tail_of(output), tail_of(errors)
    seconds = time.monotonic() - clock
    said = last_line(printed)
    samples = samples_of(said)
    if samples:  # they stand in the metrics; in a report they would bury what a person looks for
        printed = printed.rstrip().rpartition("\n")[0] + "\n"
    tail = (printed + complaints)[-TAIL_BYTES:]
    return Run(started, seconds, not reason, reason, items_of(said), tail, samples)


def wait(process: subprocess.Popen[bytes], deadline: float) -> str:
    """Wait at most `deadline` seconds; return '' or why the run failed. Nothing is left running."""
    try:
        with ORDER.obeyed():
            code = process.wait(deadline)
    except subprocess.TimeoutExpired:
        end_group(process)
        return f"deadline of {deadline:g} s passed"
    except RunInterruptedError:
        end_group(process)
        return "interrupted"
    return "" if code == 0 else f"exit code {code}"


@contextlib.contextmanager
def alone(task: Task) -> Iterator[bool]:
    """Hold the unit's lock; yield False where another run holds it."""
    with (task.state / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def become(user: str, directories: list[Path]) -> None:
    """As root: make `directories` for the task's user, then go on as that user: files are never root's."""
    if os.geteuid() != 0:
        return
    account = pwd.getpwnam(user)
    for directory in directories:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        os.chown(directory, account.pw_uid, account.pw_gid)
    os.initgroups(user, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def register(task: Task) -> None:
    """Write the metrics as they stand, so that a task that never ran is visible from its installation on."""
    write(task.state / "metrics.prom", metrics(task, load_json(task.state / "state.json")))


def run_once(task: Task) -> int:
    """Run the task and record it; return the exit code."""
    with alone(task) as held:
        if not held:
            print(f"{task.unit}: another run is not finished", file=sys.stderr)
            return EXIT_LOCKED
        act = str(uuid.uuid4())
        audit(task, act, "START")
        run = execute(task)
        state = updated(load_json(task.state / "state.json"), run)
        write(task.state / "state.json", json.dumps(state) + "\n")
        write(task.state / "metrics.prom", metrics(task, state))
        report(task, run)
        word = "done" if run.ok else "failed"
        code = 0 if run.ok else EXIT_FAILED
        audit(
            task, act, "END", outcome=word, exit_code=code, detail=run.reason, seconds=round(run.seconds, 3)
        )
        print(run.tail + f"{task.unit}: {word} after {run.seconds:.1f} s {run.reason}".rstrip())
        return code


def main() -> int:
    """Read the command line and run or register the task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=Path, required=True, help="/etc/perennial/tasks/<unit>.json")
    parser.add_argument("--register", action="store_true", help="write the metrics, run nothing")
    arguments = parser.parse_args()
    try:
        task = read_task(arguments.task)
        become(task.user, [task.state, Path(task.reports_directory)])
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"{arguments.task}: {error}; next: make converge", file=sys.stderr)
        return EXIT_USAGE
    if arguments.register:
        register(task)
        return 0
    signal.signal(signal.SIGTERM, ORDER.arrive)
    return run_once(task)


if __name__ == "__main__":
    sys.exit(main())
