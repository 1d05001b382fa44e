# SPDX-License-Identifier: Apache-2.0
"""The fault, the drill file and the alerts that tests of drills are about."""

from __future__ import annotations

from pathlib import Path

from alerts.drill import case as cases
from infra.runbook.rules import Alert

FIXTURES = Path(__file__).with_name("runbook_fixtures")
KNOWN = {
    name: Alert(name, "page", "stuck", "abc123", Path("queue.rules.yml"), 60.0)
    for name in ("QueueStuck", "MailLate", "SiteDown")
}
FAULT = cases.Fault(
    name="stopped",
    host="app-1",
    inject="fault on",
    undo="fault off",
    healthy="fault none",
    labels={"instance": "app-1"},
)
CASE = cases.Case(alert="QueueStuck", faults=(FAULT,), allowed=("MailLate",))
