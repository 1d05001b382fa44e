# SPDX-License-Identifier: Apache-2.0
"""`perennial schedule` and tasks that reach the whole fleet: they never pass on nothing seen."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from infra.fleet.exits import PerennialError
from infra.fleet.remote import Result
from infra.schedule import builtin, commands, evidence, playbook
from infra.spec import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOW = 1_800_000_000.0
HOSTS = tuple(load("lab").hosts)


def stats(**overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the callback document of the lab; `overrides`: host (underscore for dash) to values."""
    clean = {"ok": 9, "changed": 0, "failures": 0, "dark": 0, "changed_tasks": [], "failed_tasks": []}
    hosts = {name: clean | overrides.get(name.replace("-", "_"), {}) for name in HOSTS}
    return {"schema": "ansible-stats/1", "hosts": hosts}


CHANGED = stats(app_1={"changed": 1, "changed_tasks": ["nginx : Write the site"]})
FAILED = stats(db_2={"failures": 1, "failed_tasks": ["database : Wait"]})
DARK = stats(edge_1={"dark": 1})


@pytest.mark.parametrize(
    ("document", "code", "described", "done"),
    [
        (stats(), 0, True, True),
        (CHANGED, 0, False, True),
        (FAILED, 2, False, False),
        (DARK, 4, False, False),
        (stats(), 250, False, False),
    ],
    ids=["clean", "changed", "failed", "unreachable", "ansible itself failed"],
)
def test_an_outcome_is_judged_by_what_the_task_promises(
    document: dict[str, Any], code: int, described: bool, done: bool
) -> None:
    """A check must see every deviation; a renewal may change, but not fail."""
    outcome = playbook.parse(document, code)
    assert builtin.as_described(outcome) is described
    assert builtin.completed(outcome) is done


def test_counts_and_lines_name_host_and_task() -> None:
    """The report of a red check has to say where to look."""
    outcome = playbook.parse(CHANGED, 0)
    assert outcome.items == {"hosts": 8, "changed": 1, "failed": 0}
    assert outcome.lines() == ["app-1: changed: nginx : Write the site"]


def fake_ansible(monkeypatch: pytest.MonkeyPatch, document: dict[str, Any] | None, code: int = 0) -> None:
    """Let ansible-playbook be a program that writes `document`, or nothing."""

    def run(_command: Sequence[str], *, env: dict[str, str], **_: object) -> SimpleNamespace:
        if document is not None:
            Path(env["PERENNIAL_STATS"]).write_text(json.dumps(document))
        return SimpleNamespace(returncode=code)

    monkeypatch.setattr("infra.schedule.playbook.subprocess.run", run)


def test_a_run_without_an_outcome_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inventory error ends Ansible before any host: nothing seen is not nothing wrong."""
    fake_ansible(monkeypatch, None, 4)
    with pytest.raises(PerennialError, match="ended with 4 and no outcome"):
        playbook.play("lab", "--check")


def test_a_run_that_left_hosts_out_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A play whose group matched nobody passes in Ansible; here it must not."""
    document = stats()
    del document["hosts"]["app-2"]
    fake_ansible(monkeypatch, document)
    with pytest.raises(PerennialError, match="did not reach app-2"):
        playbook.play("lab", "--check")


@pytest.fixture(name="acts")
def fixture_acts(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """Return the acts that the built-in tasks journal; locks are recorded in the same list."""
    acts: list[SimpleNamespace] = []
    fleet = SimpleNamespace(platform=load("lab"))

    @contextmanager
    def act(_environment: str, command: str, **_: object) -> Iterator[SimpleNamespace]:
        record = SimpleNamespace(command=command, changed=[], outcome=None)
        record.change = lambda *hosts: record.changed.extend(hosts)
        acts.append(record)
        yield record

    @contextmanager
    def held(locked: object, _reason: str) -> Iterator[None]:
        acts[-1].locked = locked is not None
        yield

    monkeypatch.setattr("infra.fleet.journal.act", act)
    monkeypatch.setattr("infra.fleet.lock.held", held)
    monkeypatch.setattr(builtin, "read_fleet", lambda _: fleet)
    return acts


def test_converge_check_is_red_on_one_change_and_prints_items(
    acts: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One deviation on one host is what the task exists to find."""
    fake_ansible(monkeypatch, CHANGED)
    assert builtin.run("converge-check", "lab") is False
    last = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(last) == {"items": {"hosts": 8, "changed": 1, "failed": 0}}
    assert (acts[0].outcome, acts[0].changed, acts[0].locked) == (1, [], False)


def test_cert_renew_locks_the_fleet_and_names_changed_hosts(
    acts: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes hosts, so it excludes others and is accounted for."""
    fake_ansible(monkeypatch, CHANGED)
    assert builtin.run("cert-renew", "lab") is True
    assert (acts[0].outcome, acts[0].changed, acts[0].locked) == (0, ["app-1"], True)


def test_every_builtin_is_a_task_of_the_schedule() -> None:
    """A name on one side only would never run, or run nothing."""
    tasks = load("lab").tasks
    called = {name for name, task in tasks.items() if "schedule" in task.command and "run" in task.command}
    assert called == set(builtin.BUILTIN)
    assert all(tasks[name].command[-1] == name for name in called)


PERIOD = {"period_seconds": 60.0}
RAN = PERIOD | {
    "last_run_timestamp_seconds": NOW - 5,
    "last_success_timestamp_seconds": NOW - 5,
    "last_run_ok": 1,
}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "not installed"),
        (PERIOD, "never ran"),
        (RAN, "ok"),
        (RAN | {"last_run_ok": 0}, "failed"),
        (RAN | {"last_success_timestamp_seconds": NOW - 121}, "late"),
        (RAN | {"last_success_timestamp_seconds": NOW - 119}, "ok"),
    ],
)
def test_a_task_is_judged_as_its_alerts_do(values: dict[str, float], expected: str) -> None:
    """Late after two periods; a command that disagrees with the alert would confuse whoever is on call."""
    assert evidence.verdict(values, NOW) == expected


class FakeRunner:
    """Answers with the metrics of a task that ran, except where a host is silent."""

    dry_run = False

    def run(self, host: str, command: Sequence[str], **_: object) -> Result:
        """Return the metrics file."""
        assert command[0] == "cat"
        text = "".join(f'perennial_task_{name}{{task="x"}} {value}\n' for name, value in RAN.items())
        return Result(host, 255) if host == "ctl-1" else Result(host, 0, "# HELP x\n" + text)


def test_a_silent_host_is_not_an_ok_task() -> None:
    """What cannot be seen is said to be unseen."""
    fleet: Any = SimpleNamespace(platform=load("lab"))
    found = {(state.task, state.host): state.verdict for state in evidence.states(fleet, FakeRunner(), NOW)}
    assert found["wp-cron", "app-1"] == "ok"
    assert found["converge-check", "ctl-1"] == "unreachable"


def test_list_names_every_task_with_its_clause() -> None:
    """The schedule is what an auditor asks for first."""
    answer = CliRunner().invoke(commands.app, ["list", "--json"])
    assert answer.exit_code == 0
    rows = json.loads(answer.stdout)
    assert {row["task"] for row in rows} == set(load("lab").tasks)
    assert {"task": "wp-cron", "host": "app-2", "site": "community"}.items() <= rows[1].items()


def test_an_unknown_task_is_answered_with_the_nearest() -> None:
    """Bad input gets what, where and the nearest valid name."""
    answer = CliRunner().invoke(commands.app, ["run", "converge-chek"])
    assert isinstance(answer.exception, PerennialError)
    assert "did you mean 'converge-check'" in str(answer.exception)
