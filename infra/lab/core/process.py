# SPDX-License-Identifier: Apache-2.0
"""Runs programs within a time limit that a cancelled command ends early."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from infra.lab.core.errors import CancelledError, DeadlineError, LabError

_POLL_SECONDS = 0.1
_TAIL_CHARACTERS = 2000
# Children see nothing of the caller's environment: Pulumi's passphrase is in it, and package scripts run.
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


class Budget:
    """The time an act may take, and the event that cancels it.

    Args:
        seconds: time limit from now.
        cancelled: set by another thread to stop the act at its next step.
    """

    def __init__(self, seconds: float, cancelled: threading.Event | None = None) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._cancelled = cancelled or threading.Event()

    def check(self, what: str) -> None:
        """Raise CancelledError or DeadlineError when the act named by ``what`` must not go on."""
        if self._cancelled.is_set():
            raise CancelledError(f"{what}: cancelled; run the same command again to complete it")
        if time.monotonic() > self._end:
            raise DeadlineError(f"{what}: not done within {self._seconds:.0f} s")

    def pause(self, seconds: float, what: str) -> None:
        """Wait up to ``seconds``, ending early (and raising as ``check`` does) on cancellation."""
        self._cancelled.wait(seconds)
        self.check(what)


def run(argv: Sequence[str | Path], budget: Budget, *, stdin: str | None = None, accept: int = 0) -> str:
    """Run a program to its end and return its standard output.

    Args:
        argv: program and arguments; no secret may be among them.
        budget: when it runs out or is cancelled, the program is killed.
        stdin: text given to the program.
        accept: highest exit code that is a success.

    Raises:
        LabError: the program is missing or failed; the end of its error output is in the text.
    """
    name = Path(argv[0]).name
    try:
        process = subprocess.Popen(
            [str(part) for part in argv],
            text=True,
            env=_ENVIRONMENT,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise LabError(f"{name} is not installed on this machine; `make setup` installs it") from error
    with process:
        out, err = _collect(process, budget, stdin, name)
    if not 0 <= process.returncode <= accept:
        shown = " ".join(str(part) for part in argv[:6])
        raise LabError(f"{shown}: exit {process.returncode}: {err.strip()[-_TAIL_CHARACTERS:]}")
    return out


def _collect(process: subprocess.Popen[str], budget: Budget, stdin: str | None, name: str) -> tuple[str, str]:
    while True:
        try:
            return process.communicate(stdin, timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            stdin = None
            try:
                budget.check(name)
            except LabError:
                process.kill()
                process.communicate()
                raise


def contained(script: str, *arguments: str | Path) -> list[str]:
    """The command line that runs a shell script whose processes and mounts all end with the caller.

    Even when the caller is killed, nothing of a long build goes on behind its back: the script has process
    and mount namespaces of its own, and the kernel ends them.
    """
    return [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-euc",
        script,
        "lab-build",
        *(str(argument) for argument in arguments),
    ]
