# SPDX-License-Identifier: Apache-2.0
"""Long steps as programs: one line of progress each, everything in a log file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

INTERESTING = re.compile(r"^(TASK \[|PLAY \[|\s[+~-] |\s*lab:index:|changed: \[|building |fetching )")
REASON = re.compile(r"^\s*(?:error|fatal|ERROR!?)\b.*?: (?!update failed|preview failed|one or more)(.+)")
SHOWN_ON_FAILURE = 40


class StepFailedError(Exception):
    """A step ended badly; the message names the step, the first error, the log and the next command."""

    exit_code = 1

    def __init__(self, title: str, code: int, reason: str, log: Path, hint: str) -> None:
        """Keep the step's exit code for the caller."""
        self.code = code
        told = f": {reason}" if reason else ""
        super().__init__(f"{title} failed (exit {code}){told}; whole output: {log}; next: {hint}")


@dataclass
class Steps:
    """Run programs one after another, timed; progress goes to `console`, everything to `log`."""

    log: Path
    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, title: str) -> Iterator[None]:
        """Show a line when the block begins (on a terminal) and one with its time when it ends."""
        begin = time.monotonic()
        with self.console.status(title):
            yield
        self.seconds[title] = time.monotonic() - begin
        self.console.print(f"  [green]✓[/green] {title} [dim]{self.seconds[title]:.1f} s[/dim]")

    def run(
        self,
        title: str,
        command: Sequence[str],
        *,
        cwd: Path,
        hint: str,
        environment: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (0,),
    ) -> list[str]:
        """Run `command`, return its output lines; raise StepFailedError where it ends badly."""
        begin = time.monotonic()
        lines: list[str] = []
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as log, self.console.status(title) as status:
            log.write(f"== {title}\n")
            with _process(command, cwd, environment) as process:
                for line in process.stdout or ():
                    log.write(line)
                    lines.append(line.rstrip("\n"))
                    if INTERESTING.match(line):
                        status.update(f"{title}  [dim]{_short(line)}[/dim]")
                code = process.wait()
        self.seconds[title] = time.monotonic() - begin
        if code not in accept:
            self._show_failure(title, lines)
            raise StepFailedError(title, code, first_error(lines), self.log, hint)
        self.console.print(f"  [green]✓[/green] {title} [dim]{self.seconds[title]:.1f} s[/dim]")
        return lines

    def _show_failure(self, title: str, lines: list[str]) -> None:
        self.console.print(f"  [red]✗[/red] {title}")
        for line in lines[-SHOWN_ON_FAILURE:]:
            self.console.print(f"    {line}", markup=False)


def first_error(lines: Iterable[str]) -> str:
    """Return what the first error line of Pulumi or Ansible says, cut at 400 characters, or nothing."""
    found = (match for line in lines if (match := REASON.match(line)))
    return next((match[1][:400] for match in found), "")


def _short(line: str) -> str:
    return line.strip().rstrip("*").strip()[:90].replace("[", "(").replace("]", ")")


@contextmanager
def _process(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None
) -> Iterator[subprocess.Popen[str]]:
    """Start a program; whatever happens, it is ended and waited for before leaving."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str], seconds: float = 60) -> None:
    """End a program that still runs: asked first, and killed where it does not end within `seconds`."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ask(question: str, *, yes: bool) -> bool:
    """Return whether to go on: asked on a terminal only, and not with `--yes`."""
    if yes or not sys.stdin.isatty():
        return True
    return Console(stderr=True).input(f"{question} [Y/n] ").strip().lower() in {"", "y", "yes"}
