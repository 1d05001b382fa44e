# SPDX-License-Identifier: Apache-2.0
"""What tasks left on their hosts, read from the metrics files that node_exporter serves too."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.fleet.remote import SshRunner
from infra.spec import derive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.fleet.remote import Runner
    from infra.inventory import Fleet
    from infra.spec.derive import ScheduledTask

SAMPLE = re.compile(r"^perennial_task_(?P<name>[a-z_]+)\{(?P<labels>[^}]*)\} (?P<value>\S+)$")
# late after two periods (design section 6); the same figure stands in the alert
LATE_PERIODS = 2


@dataclass(frozen=True)
class TaskState:
    """One task on one host; times are seconds since 1970, None where it never happened."""

    task: str
    site: str
    host: str
    verdict: str
    last_success: float | None
    last_run: float | None
    seconds: float | None

    @property
    def good(self) -> bool:
        """Tell whether nothing has to be done about it."""
        return self.verdict == "ok"


def samples(text: str) -> dict[str, float]:
    """Return metric name without prefix → value; counts of items are left out."""
    found = (SAMPLE.match(line) for line in text.splitlines())
    return {match["name"]: float(match["value"]) for match in found if match and match["name"] != "items"}


def verdict(values: dict[str, float], now: float) -> str:
    """Return `ok`, `failed`, `late`, `never ran` or `not installed`, judged as the alerts do."""
    if "period_seconds" not in values:
        return "not installed"
    if "last_run_timestamp_seconds" not in values:
        return "never ran"
    if not values.get("last_run_ok"):
        return "failed"
    late = now - values["last_success_timestamp_seconds"] > LATE_PERIODS * values["period_seconds"]
    return "late" if late else "ok"


def states(fleet: Fleet, runner: Runner | None = None, now: float | None = None) -> Iterator[TaskState]:
    """Yield the state of every task on every host that should run it; a silent host is as `unreachable`."""
    runner = runner or SshRunner(fleet, dry_run=False)
    moment = time.time() if now is None else now
    for host in fleet.platform.hosts.values():
        tasks = derive.tasks_on(fleet.platform, host)
        for task in tasks:
            yield _state(runner, host.name, task, moment)


def _state(runner: Runner, host: str, task: ScheduledTask, now: float) -> TaskState:
    path = f"/var/lib/perennial/tasks/{task.unit}/metrics.prom"
    answer = runner.run(host, ["cat", path], safe=True, timeout=20)
    values = samples(answer.stdout)
    judged = verdict(values, now) if answer.reached else "unreachable"
    return TaskState(
        task.id,
        task.site,
        host,
        judged,
        values.get("last_success_timestamp_seconds"),
        values.get("last_run_timestamp_seconds"),
        values.get("duration_seconds"),
    )
