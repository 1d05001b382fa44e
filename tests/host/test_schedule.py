# SPDX-License-Identifier: Apache-2.0
"""Scheduled tasks on real hosts: timers fire, runs leave evidence, failures show, deadlines hold."""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING, Any

import pytest

from infra.spec import derive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testinfra.host import Host as RemoteHost

    from infra.spec import Host, Platform

pytestmark = pytest.mark.role("base")

TRIAL = "/run/perennial-trial"
RUNNER = "/usr/bin/python3 -sE /usr/local/lib/perennial/task_runner.py"


def test_exactly_the_described_tasks_have_running_timers(
    host: RemoteHost, spec_host: Host, platform: Platform
) -> None:
    """A timer too many runs a task twice in the fleet; one too few leaves a clause of the plan undone."""
    described = {f"{task.unit}.timer" for task in derive.tasks_on(platform, spec_host)}
    listed = host.check_output("systemctl list-timers --all --output=json 'perennial-*'")
    assert {timer["unit"] for timer in json.loads(listed)} == described
    for unit in described:
        assert host.service(unit).is_enabled
        assert host.service(unit).is_running


def test_every_task_is_visible_in_the_metrics(host: RemoteHost, spec_host: Host, platform: Platform) -> None:
    """What node_exporter cannot read raises no alert; a dangling link would break all its text files."""
    for task in derive.tasks_on(platform, spec_host):
        path = f"/var/lib/perennial/metrics/task_{task.unit}.prom"
        exporter = f"runuser -u prometheus -- cat {path}"
        assert f'perennial_task_period_seconds{{task="{task.id}"' in host.check_output(exporter)


def test_a_task_is_confined(host: RemoteHost, spec_host: Host, platform: Platform) -> None:
    """Effective properties, not the text of the unit."""
    wanted = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes", "ProtectHome": "yes"}
    for task in derive.tasks_on(platform, spec_host):
        shown = host.check_output(f"systemctl show {task.unit}.service --property={','.join(wanted)},User")
        effective = dict(line.split("=", 1) for line in shown.splitlines())
        assert effective == wanted | {"User": task.definition.user}


@pytest.fixture(name="trial")
def fixture_trial(host: RemoteHost) -> Iterator[Any]:
    """Return a function that describes a trial task on the host and returns the runner's command line."""
    host.check_output(f"mkdir -p {TRIAL}")

    def describe(*command: str, deadline: float = 20) -> str:
        task = {
            "id": "trial", "unit": "perennial-trial", "plan": "tech.tools", "site": "", "title": "a trial",
            "owner": "platform", "environment": "test", "host": "trial", "user": "nobody",
            "command": list(command), "deadline_seconds": deadline, "period_seconds": 3600,
            "state_directory": f"{TRIAL}/state", "reports_directory": f"{TRIAL}/reports",
        }  # fmt: skip
        host.check_output("sh -c %s", f"printf %s {shlex.quote(json.dumps(task))} > {TRIAL}/task.json")
        return f"{RUNNER} --task {TRIAL}/task.json"

    yield describe
    host.check_output(f"rm -r {TRIAL}")


def metric(host: RemoteHost, name: str) -> float:
    """Return one metric of the trial task."""
    lines = host.file(f"{TRIAL}/state/metrics.prom").content_string.splitlines()
    (found,) = [line for line in lines if line.startswith(f"perennial_task_{name}{{")]
    return float(found.rsplit(" ", 1)[1])


def test_a_failure_shows_and_keeps_the_last_success(host: RemoteHost, trial: Any) -> None:
    """The alert on failed tasks, and the one on late ones, stand on these two."""
    assert host.run(trial("/bin/true")).rc == 0
    success = metric(host, "last_success_timestamp_seconds")
    assert host.run(trial("/bin/false")).rc == 1
    assert metric(host, "last_run_ok") == 0
    assert metric(host, "last_success_timestamp_seconds") == success


def test_a_deadline_leaves_no_process(host: RemoteHost, trial: Any) -> None:
    """A task that hangs must not hold its place for ever."""
    began = time.monotonic()
    assert host.run(trial("/bin/sleep", "313", deadline=1)).rc == 1
    assert time.monotonic() - began < 30
    assert host.run("pgrep -f '^/bin/sleep 313$'").rc == 1


def test_a_second_run_is_refused_while_the_first_goes_on(host: RemoteHost, trial: Any) -> None:
    """Two runs of one task at once could publish, pay or delete twice."""
    command = trial("/bin/sleep", "3")
    both = f"{command} >/dev/null & sleep 1; {command} 2>/dev/null; echo second=$?; wait $!; echo first=$?"
    answers = host.run("sh -c %s", both).stdout.split()
    assert answers[-2:] == ["second=8", "first=0"]


def test_runs_write_start_and_end_audit_lines(host: RemoteHost, trial: Any) -> None:
    """An auditor asks who did what, when, and how it ended."""
    mark = host.check_output("date +%s")
    host.run(trial("/bin/true"))
    host.check_output("journalctl --sync")
    output = host.check_output(f"journalctl --quiet --since=@{mark} -t perennial-audit -o cat")
    lines = [json.loads(line) for line in output.splitlines()]
    ours = [line for line in lines if line["command"] == "perennial-trial.service"]
    assert [line["event"] for line in ours] == ["START", "END"]
    assert ours[0]["id"] == ours[1]["id"]
    assert ours[1]["outcome"] == "done"
