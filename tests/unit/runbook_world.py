# SPDX-License-Identifier: Apache-2.0
"""A host whose queue is stuck, as the tests of running pages meet it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from infra.fleet.remote import Result
from infra.runbook import page, record
from infra.runbook.attempt import Bench
from infra.runbook.monitoring import Live
from infra.runbook.run import Answer, Run
from tests.unit.fleet_world import World, platform

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).with_name("runbook_fixtures")
LABELS = {"alertname": "QueueStuck", "instance": "app-1", "site": "community"}


class Queue(World):
    """A queue that is stuck until it was stopped and flushed; `trouble` makes one command end otherwise."""

    def __init__(self) -> None:
        """Begin stuck."""
        super().__init__()
        self.flushed = False
        self.trouble: dict[str, Result | Callable[[], None]] = {}
        self.running: set[str] = set()
        self.queries: list[str] = []
        self.never_moves = False
        self.mended_by_itself = False
        self.well_on: set[str] = set()
        self.alerts = [Live("f1", LABELS, "stuck", "now")]

    def answer(self, host: str, line: str, stdin: str) -> str | int | Result | None:
        """Answer as the host would."""
        words = shlex.split(line)
        if words[:2] == ["systemctl", "show"]:
            return f"ActiveState={'active' if words[-1] in self.running else 'inactive'}\n"
        if words[:2] == ["systemctl", "stop"] and words[-1].startswith("perennial-runbook"):
            self.running.discard(words[-1])
            return ""
        if words[0] != "systemd-run":
            return super().answer(host, line, stdin)
        if words[-1].strip() == "queue state" and host in self.well_on:
            return "moving"
        return self._command(words)

    def _command(self, words: list[str]) -> str | Result:
        command = words[-1].strip().removeprefix("queue ")
        trouble = self.trouble.get(command)
        if isinstance(trouble, Result):
            return trouble
        if trouble is not None:
            trouble()
        if command == "flush":
            self.flushed = True
        return "moving" if command == "state" and self.flushed else "stuck"

    def firing(self, alert: str) -> list[Live]:
        """Fire while the queue is stuck."""
        del alert
        return [] if self.flushed else self.alerts

    def query(self, text: str) -> list[str]:
        """Answer the verification."""
        self.queries.append(text)
        return ["queue_stuck 1"] if self.never_moves or not (self.flushed or self.mended_by_itself) else []

    def acts(self) -> list[str]:
        """Return the changing commands in their order."""
        lines = [shlex.split(line) for _, line in self.runner.commands]
        return [words[-1].strip().removeprefix("queue ") for words in lines if words[0] == "systemd-run"]


def edit(folder: Path, old: str, new: str) -> page.Page:
    """Return the page QueueStuck with one text replaced."""
    text = (FIXTURES / "QueueStuck.md").read_text("utf-8")
    assert old in text
    (folder / "QueueStuck.md").write_text(text.replace(old, new))
    return page.read(folder / "QueueStuck.md")


def a_run(
    queue: Queue, folder: Path, labels: dict[str, str] = LABELS, kept: record.Record | None = None
) -> Run:
    """Return a run of the page QueueStuck that answers yes and does not wait."""
    read = page.read(FIXTURES / "QueueStuck.md")
    kept = kept or record.new(read, "unit", labels, "f1")
    clock = iter(range(0, 10_000, 10))
    return Run(
        read,
        platform(folder),
        Bench(queue.runner, queue, labels, "unit", kept.run),
        kept,
        ask=lambda _block, _hosts: Answer.RUN,
        say=lambda _text: None,
        still_firing=lambda: bool(queue.firing("QueueStuck")),
        pause=lambda _seconds: None,
        now=lambda: next(clock),
    )
