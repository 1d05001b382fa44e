# SPDX-License-Identifier: Apache-2.0
"""Every page's looks run on a platform that is well, and a dry run of a page changes nothing there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from alerts.drill import case
from infra.fleet.exits import Exit
from infra.fleet.remote import SshRunner
from infra.runbook import lint, page, record
from infra.runbook.attempt import Bench
from infra.runbook.monitoring import LiveMonitoring
from infra.runbook.rules import alerts
from infra.runbook.run import Answer, Run

if TYPE_CHECKING:
    from pathlib import Path

    from infra.inventory import Fleet

pytestmark = pytest.mark.lab

# Of labels that an alert of a layer may have: those that its drill does not give.
ROLE = {"edge": "edge", "tls": "edge", "app": "app", "database": "database", "host": "app", "tasks": "app"}
LABELS = {
    "task": "wp-cron",
    "slo": "site-availability",
    "proxy": "app",
    "job": "node-metrics",
    "mountpoint": "/",
}

BAD = {record.State.FAILED, record.State.UNVERIFIABLE, record.State.BEGUN}


def labels_of(fleet: Fleet, alert: str) -> dict[str, str]:
    """Return labels as the alert would carry them on this platform."""
    layer = alerts()[alert].file.parent.name
    host = fleet.platform.with_role(ROLE.get(layer, "monitoring"), enabled_only=True)[0].name
    given = {"alertname": alert, "instance": host, "host": host, "server": host}
    drilled = next((fault.labels for fault in case.read(alert).faults), {})
    return given | LABELS | {"site": next(iter(fleet.platform.sites))} | drilled


@pytest.mark.timeout(600)
def test_a_dry_run_of_every_page_ends_well_and_changes_nothing(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that nothing depends on just answers: one that fails on a healthy host fails at 03:00 too."""
    monkeypatch.setattr(record, "folder", lambda _environment: tmp_path)
    monitoring = LiveMonitoring(fleet)

    def dry(alert: str) -> tuple[Exit, list[str], SshRunner]:
        """Run one page; return its end, what failed in it, and its runner."""
        read = page.read(lint.PAGES / f"{alert}.md")
        runner, labels = SshRunner(fleet, dry_run=True), labels_of(fleet, alert)
        kept = record.new(read, fleet.platform.name, labels, "", dry_run=True)
        bench = Bench(runner, monitoring, labels, fleet.platform.name, f"{kept.run}-{alert.lower()}")
        run = Run(
            read, fleet.platform, bench, kept,
            ask=lambda _block, _hosts: Answer.STOP, say=lambda _text: None, dry_run=True,
            pause=lambda _seconds: pytest.fail(f"the dry run of {alert} waits"),
        )  # fmt: skip
        outcome = run.forward()
        asked = {
            name for block in read.blocks for name in (*block.attributes.requires, *block.attributes.unless)
        }
        plain = {
            block.attributes.name
            for block in read.blocks
            if block.attributes.expect == page.Expect() and block.attributes.name not in asked
        }
        bad = [
            f"{alert}: {step.name}: {step.why}"
            for step in kept.steps
            if step.state in BAD or (step.state is record.State.NOT_MET and step.name in plain)
        ]
        return outcome, bad, runner

    with ThreadPoolExecutor(3) as workers:
        found = list(workers.map(dry, alerts()))
    assert not [line for _, lines, _ in found for line in lines]
    assert {outcome for outcome, _, _ in found} == {Exit.DONE}
    assert not [runner.skipped for _, _, runner in found if runner.skipped], "a change was tried in a dry run"
