# SPDX-License-Identifier: Apache-2.0
"""One watched run of `make up` that serves several tests: it takes longer than all that they ask of it."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from infra.fleet.journal import Journal, journal_directory
from infra.fleet.remote import SshRunner, must
from infra.release import git
from infra.spec import CHECKOUT
from tests.lab import exposure, runs
from tests.lab_session import ENVIRONMENT, make

if TYPE_CHECKING:
    from pathlib import Path

    from infra.inventory import Fleet

# Holds every secret: the run must hand them over; and only tasks of the control host miss it meanwhile.
MANAGED = "/etc/perennial/control/secrets.json"
CONFIGURING = {"make up", "make converge"}


@dataclass(frozen=True)
class WatchedRun:
    """A run of `make up` after one managed file was deleted on one host, and what was tried meanwhile."""

    host: str
    output: str
    log: str
    lines: list[dict[str, Any]]
    watch: exposure.Watch
    second: subprocess.CompletedProcess[str]
    holder: int


@pytest.fixture(scope="session")
def watched_run(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> WatchedRun:
    """Return a run that mended one file and ended with 0; a second run was tried while it was at work."""
    journal = Journal(ENVIRONMENT, journal_directory(ENVIRONMENT))
    if not _at_this_commit(journal):
        converged = make("converge")  # so that the deleted file is all there is to do
        assert converged.returncode == 0, converged.stdout[-6000:]
    runner = SshRunner(fleet, dry_run=False)
    host = fleet.platform.with_role("control")[0].name
    must(runner.run(host, ["rm", MANAGED]), "deleting")
    before = len(journal.lines())
    output = tmp_path_factory.mktemp("run") / "output"
    with exposure.Watch(exposure.needles(fleet.secret_values)) as watch:
        process = runs.start("up", ENVIRONMENT, output)
        _await_start(journal, before, process, output)
        second = make("up", "--yes")
        code = process.wait(600)
    assert code == 0, output.read_text("utf-8")[-6000:]
    begun = [line for line in journal.lines()[before:] if line["command"] == "make up"]
    log = max((journal.directory / "logs").glob("*-up.log")).read_text("utf-8")
    return WatchedRun(host, output.read_text("utf-8"), log, begun, watch, second, process.pid)


def _at_this_commit(journal: Journal) -> bool:
    """Tell whether the last run that configured every host did so from this commit, which hosts carry."""
    runs_done = [
        line for line in journal.lines()
        if line["event"] == "END" and line["outcome"] == "done" and line["command"] in CONFIGURING
    ]  # fmt: skip
    now = git(CHECKOUT, "rev-parse", "HEAD")
    return bool(runs_done) and runs_done[-1]["commit"].removesuffix("-dirty") == now


def _await_start(journal: Journal, before: int, process: subprocess.Popen[str], output: Path) -> None:
    while len(journal.lines()) == before:
        assert process.poll() is None, output.read_text("utf-8")
        time.sleep(0.1)
