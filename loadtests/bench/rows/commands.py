# SPDX-License-Identifier: Apache-2.0
"""Commands on a platform that needs nothing: `pulumi up`, `make converge`, `make up`, as users run them."""

from __future__ import annotations

import os
import re
import subprocess
import time
from statistics import median
from typing import TYPE_CHECKING

from infra.spec import CHECKOUT
from infra.toolchain.environment_lock import environment_lock
from loadtests.bench.figures import BenchError, Measurement, unmeasured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loadtests.bench.run import Run

MOST_SECONDS = 1200
PULUMI_RUNS = 3
MAKE_HANDS_ON = {"MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "AREA", "ENV", "YES", "PYTEST"}
TAIL = 400
CHANGED = re.compile(r"(\d+) changed on (\d+) hosts")
TOUCHED = re.compile(r"(?:^|\s)(?:\+-|\+|~|-)\s*(\d+) (?:created|updated|deleted|replaced)\b", re.MULTILINE)
UNCHANGED = re.compile(r"\b(\d+) unchanged\b")


def timed(command: Sequence[str], cwd: Path, **environment: str) -> tuple[float, str]:
    """Run `command` without a terminal; return its seconds and output; raise BenchError where it fails."""
    begin = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=own_environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(command)} did not end within {MOST_SECONDS} s") from error
    seconds = time.monotonic() - begin
    if done.returncode != 0:
        said = " ".join(done.stdout.split())[-TAIL:]
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}: {said}")
    return seconds, done.stdout


def own_environment() -> dict[str, str]:
    """Return the environment without what an outer make hands to an inner one.

    `make bench AREA=foundation` would otherwise make every `make converge` one of that area alone.
    """
    return {name: value for name, value in os.environ.items() if name not in MAKE_HANDS_ON}


def changed_tasks(output: str) -> int | None:
    """Return how many tasks changed a host, from the output of a converge; None where it does not say."""
    found = CHANGED.findall(output)
    return sum(int(changed) for changed, _ in found) if found else None


def touched_resources(output: str) -> int | None:
    """Return how many resources Pulumi created, updated, replaced or deleted; None where it does not say."""
    if not UNCHANGED.search(output) and not TOUCHED.search(output):
        return None
    return sum(int(number) for number in TOUCHED.findall(output))


def _counted(figure: str, count: int | None, what: str) -> Measurement:
    if count is None:
        return unmeasured(figure, f"the output does not tell how many {what}")
    return Measurement(figure, count, str(count))


def _seconds(figure: str, seconds: float, note: str) -> Measurement:
    return Measurement(figure, seconds, f"{seconds:.1f} s", notes=(note,))


def measure_pulumi(run: Run) -> list[Measurement]:
    """Time a plain `pulumi up`, preview included, under the environment's lock: the median of three."""
    run.say("pulumi up with nothing to do")
    project = CHECKOUT / "infra" / run.fleet.platform.environment.substrate
    command = [str(CHECKOUT / ".tools" / "bin" / "pulumi"), "up", "--yes", "--non-interactive"]
    with environment_lock(run.lab, "make bench (pulumi up)"):
        runs = [timed(command, project, PULUMI_STACK=run.lab) for _ in range(PULUMI_RUNS)]
    # Preview and update both print a summary: what was done is in the last one.
    counts = [touched_resources(output[output.rfind("Resources:") :]) for _, output in runs]
    touched = None if None in counts else sum(count or 0 for count in counts)
    seconds = [each for each, _ in runs]
    note = f"pulumi up --yes, preview included; median of {', '.join(f'{each:.1f}' for each in seconds)} s"
    return [
        _seconds("pulumi-up", median(seconds), note),
        _counted("pulumi-up-touched", touched, "resources were touched"),
    ]


def measure_converge(run: Run) -> list[Measurement]:
    """Time `make converge` of all hosts: playbook, pending restarts, health."""
    run.say("make converge with nothing to do")
    seconds, output = timed(["make", "converge", f"ENV={run.lab}"], CHECKOUT)
    hosts = f"{len(run.fleet.platform.hosts)} hosts; playbook, pending restarts and health included"
    return [
        _seconds("converge", seconds, hosts),
        _counted("converge-changed", changed_tasks(output), "tasks changed a host"),
    ]


def measure_up(run: Run) -> list[Measurement]:
    """Time `make up` on a platform that is up."""
    run.say("make up with nothing to do")
    seconds, output = timed(["make", "up", f"ENV={run.lab}", "YES=1"], CHECKOUT)
    return [
        _seconds("make-up", seconds, "set-up check, refresh, pulumi up, playbook and health included"),
        _counted("make-up-changed", changed_tasks(output), "tasks changed a host"),
        _counted("make-up-touched", touched_resources(output), "resources were touched"),
    ]
