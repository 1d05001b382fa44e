# SPDX-License-Identifier: Apache-2.0
"""The record of one run of a page: JSON that is whole after every step, so that a run can be resumed."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.fleet.exits import Exit, PerennialError
from infra.fleet.identity import current
from infra.fleet.journal import journal_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.runbook.page import Page


OUTPUT_MOST = 20_000  # characters of an answer in the record, its last ones; the log has all


class State(StrEnum):
    """What became of a step.

    `begun` in a record whose runner is gone: nobody saw its end. `not yet` in a dry run alone: a look that a
    run could make true.
    """

    BEGUN = "begun"
    DONE = "done"
    NOT_MET = "not met"
    NOT_YET = "not yet"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNVERIFIABLE = "unverifiable"
    ROLLED_BACK = "rolled back"
    ROLLBACK_FAILED = "rollback failed"


class Step(BaseModel):
    """One block of a run: where, what became of it and why, the end of its answer, and how long it took (s).

    `partly`: a look that is done holds on some of its hosts and not on all.
    """

    model_config = ConfigDict(extra="forbid")
    name: str
    hosts: tuple[str, ...]
    state: State
    why: str = ""
    output: str = ""
    seconds: float = 0.0
    time: str = ""
    partly: bool = False


class Record(BaseModel):
    """One run: the page as it was, the alert's labels, who ran it, and its steps in the order of acting.

    The record of a dry run lies apart: a run is never resumed from it, what it left out was not done.
    """

    model_config = ConfigDict(extra="forbid")
    run: str
    alert: str
    environment: str
    labels: dict[str, str]
    fingerprint: str
    page: str
    person: str
    started: str
    ended: str = ""
    outcome: str = ""
    dry_run: bool = False
    steps: list[Step] = []

    def step(self, name: str) -> Step | None:
        """Return what became of a block so far, None where the run has not come to it."""
        return next((step for step in self.steps if step.name == name), None)

    def put(self, step: Step) -> None:
        """Set what became of a block and write the record."""
        step.time = _now()
        kept = [other for other in self.steps if other.name != step.name]
        self.steps = [*kept, step]
        self.write()

    def end(self, outcome: Exit) -> None:
        """Close the record."""
        self.ended, self.outcome = _now(), outcome.outcome
        self.write()

    @property
    def path(self) -> Path:
        """Return the file of this record."""
        kept = folder(self.environment)
        return (kept / "dry-runs" if self.dry_run else kept) / f"{self.alert}-{self.run}.json"

    @property
    def log(self) -> Path:
        """Return the file with the whole output of every block."""
        return self.path.with_suffix(".log")

    def keep(self, heading: str, output: str) -> None:
        """Add what a block answered to the log, for its owner's eyes only."""
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(opened, "a", encoding="utf-8") as file:
            file.write(f"== {_now()} {heading}\n{output.rstrip()}\n")

    def write(self) -> None:
        """Write the file; a reader sees the old one or the new one, never a part."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(self.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)


def folder(environment: str) -> Path:
    """Return where the records of an environment are kept on this machine."""
    return journal_directory(environment) / "runbooks"


def new(
    page: Page, environment: str, labels: Mapping[str, str], fingerprint: str, *, dry_run: bool = False
) -> Record:
    """Return the record of a run that begins now; nothing is written yet."""
    now = datetime.now(UTC)
    me = current()
    return Record(
        run=now.strftime("%Y%m%dt%H%M%S%f")[:-3],
        alert=page.path.stem,
        environment=environment,
        labels=dict(labels),
        fingerprint=fingerprint,
        page=digest(page),
        person=f"{me.person}@{me.machine}",
        started=now.isoformat(timespec="seconds"),
        dry_run=dry_run,
    )


def latest(alert: str, environment: str) -> Record | None:
    """Return the newest record of an alert's page, None without one; raise PerennialError (6) if damaged."""
    paths = sorted(folder(environment).glob(f"{alert}-*.json"))
    if not paths:
        return None
    try:
        return Record.model_validate_json(paths[-1].read_text("utf-8"))
    except ValidationError as error:
        raise PerennialError(
            f"the record is damaged: {error.error_count()} mistakes",
            where=str(paths[-1]),
            next_="move it away",
            code=Exit.INTEGRITY,
        ) from error


def digest(page: Page) -> str:
    """Return a hash of a page's text: a run is not resumed on a page that says something else by now."""
    return hashlib.sha256(page.text.encode()).hexdigest()[:16]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
