# SPDX-License-Identifier: Apache-2.0
"""Half an hour of load with ordinary work on the platform: what fires then costs people sleep for nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from infra.fleet.remote import SshRunner, must
from infra.release import commit
from infra.runbook.monitoring import LiveMonitoring
from infra.spec import CHECKOUT
from loadtests.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.inventory import Fleet
    from loadtests.probe import Target

pytestmark = [pytest.mark.lab, pytest.mark.drill, pytest.mark.timeout(3000)]
MINUTES = 30
EVIDENCE = CHECKOUT / "tests" / "evidence" / "clean-run.json"
FIRED = (
    'count by (alertname) (count_over_time(ALERTS{{alertstate="firing",alertname!="Watchdog"}}[{seconds}s]))'
)


def perennial(fleet: Fleet, *words: str) -> None:
    """Run a command as an operator would, agreed to beforehand."""
    command = [sys.executable, "-m", "infra.cli.main", *words, "--env", fleet.platform.name, "--yes"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"


def reload_edges(fleet: Fleet) -> None:
    """Reload HAProxy on every edge, as a renewed certificate does."""
    runner = SshRunner(fleet, dry_run=False)
    for edge in fleet.platform.with_role("edge", enabled_only=True):
        must(runner.run(edge.name, ["systemctl", "reload", "haproxy.service"]), "reloading")


def work(fleet: Fleet) -> None:
    """Do the ordinary work, a quarter of the run between two acts."""
    app = fleet.platform.with_role("app", enabled_only=True)[0].name
    acts: list[Callable[[], None]] = [
        lambda: reload_edges(fleet),
        lambda: perennial(fleet, "fleet", "drain", app, "--reason", "clean run"),
        lambda: perennial(fleet, "fleet", "undrain", app, "--reason", "clean run"),
        lambda: perennial(fleet, "fleet", "switchover"),
    ]
    for act in acts:
        time.sleep(MINUTES * 60 / (len(acts) + 1))
        act()
    time.sleep(MINUTES * 60 / (len(acts) + 1))


def test_half_an_hour_of_load_and_work_raises_no_alert(fleet: Fleet, site: Target) -> None:
    """Reload, drain and switchover are planned; an alert that fires for them teaches people to look away."""
    monitoring = LiveMonitoring(fleet)
    begin = time.monotonic()
    uncached = replace(site, path="/?s=clean")
    with (
        Probe(site, rate=20, most_seconds=MINUTES * 60) as pages,
        Probe(uncached, rate=2, timeout=20, most_seconds=MINUTES * 60) as searches,
    ):
        work(fleet)
    seconds = round(time.monotonic() - begin)
    fired = monitoring.query(FIRED.format(seconds=seconds))
    failed = [*pages.ledger.failed, *searches.ledger.failed]
    document = {
        "minutes": MINUTES,
        "alerts": fired,
        "requests": len(pages.ledger.attempts) + len(searches.ledger.attempts),
        "failed": len(failed),
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    EVIDENCE.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    assert fired == []
    assert not failed, failed[:5]
