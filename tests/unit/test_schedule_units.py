# SPDX-License-Identifier: Apache-2.0
"""The Ansible module that keeps units of scheduled tasks: the list is the whole truth, looking is exact."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.inventory.variables import host_variables
from infra.spec import load
from tests.programs import program

MODULE = Path(__file__).resolve().parents[2] / "roles" / "schedule" / "library" / "task_units.py"


@pytest.fixture(name="units")
def fixture_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module with all its places moved under a directory of the test."""
    module = program("roles/schedule/library/task_units.py")
    for name, place in {
        "UNITS": "units",
        "WANTS": "units/timers.target.wants",
        "TASKS": "tasks",
        "METRICS": "metrics",
    }.items():
        monkeypatch.setattr(module, name, tmp_path / place)
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(module, "STATE", str(tmp_path / "state"))
    return module


class FakeModule:
    """Stands for Ansible's module object: records commands, and registers metrics as the runner would."""

    check_mode = False

    def __init__(self, state: Path) -> None:
        """Keep where the runner would write."""
        self.state = state
        self.commands: list[list[str]] = []

    def run_command(self, command: list[str]) -> tuple[int, str, str]:
        """Pretend success."""
        self.commands.append(command)
        if "--register" in command:
            unit = Path(command[command.index("--task") + 1]).stem
            (self.state / unit).mkdir(parents=True, exist_ok=True)
            (self.state / unit / "metrics.prom").write_text("")
        return 0, "", ""


def tasks_of(host: str) -> list[dict[str, Any]]:
    """Return what the role passes for a host of the shipped lab."""
    platform = load("lab")
    tasks: list[dict[str, Any]] = host_variables(platform, platform.hosts[host])["tasks"]
    return tasks


def converge(
    units: Any, tmp_path: Path, tasks: list[dict[str, Any]]
) -> tuple[list[str], list[str], FakeModule]:
    """Bring the test directory to `tasks`; return names changed, names removed, and the module."""
    want = units.wanted(tasks, "lab", "ctl-1", {})
    changed = units.differing(want)
    strays = sorted(units.owned() - set(want.files) - set(want.links))
    module = FakeModule(tmp_path / "state")
    units.apply(module, want, changed, strays)
    return [path.name for path in changed], [path.name for path in strays], module


@pytest.fixture(name="root_owned", autouse=True)
def fixture_root_owned(units: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files of whoever runs the tests pass as root's."""

    def same(path: Path, text: str) -> bool:
        return path.is_file() and not path.is_symlink() and path.read_text() == text

    monkeypatch.setattr(units, "same_file", same)


def test_a_second_look_finds_nothing_to_do(units: Any, tmp_path: Path) -> None:
    """Otherwise every converge would restart timers."""
    assert converge(units, tmp_path, tasks_of("ctl-1"))[0]
    changed, strays, module = converge(units, tmp_path, tasks_of("ctl-1"))
    assert (changed, strays, module.commands) == ([], [], [])


@pytest.mark.parametrize("place", ["units", "units/timers.target.wants", "tasks", "metrics"])
def test_one_deleted_file_is_the_one_that_comes_back(units: Any, tmp_path: Path, place: str) -> None:
    """No stamp replaces looking."""
    converge(units, tmp_path, tasks_of("ctl-1"))
    victim = next(path for path in sorted((tmp_path / place).iterdir()) if not path.is_dir())
    victim.unlink()
    assert converge(units, tmp_path, tasks_of("ctl-1"))[:2] == ([victim.name], [])


def test_an_edited_unit_is_mended(units: Any, tmp_path: Path) -> None:
    """What somebody changed by hand is not what the description says."""
    converge(units, tmp_path, tasks_of("ctl-1"))
    victim = tmp_path / "units" / "perennial-spec-check.service"
    victim.write_text(victim.read_text().replace("NoNewPrivileges=yes\n", ""))
    assert converge(units, tmp_path, tasks_of("ctl-1"))[0] == [victim.name]
    assert "NoNewPrivileges=yes" in victim.read_text()


def test_a_task_no_longer_listed_leaves_nothing(units: Any, tmp_path: Path) -> None:
    """A task moved to another host must not run on both."""
    converge(units, tmp_path, tasks_of("ctl-1"))
    _, strays, module = converge(units, tmp_path, [])
    assert len(strays) == 5 * len(tasks_of("ctl-1"))
    left = [
        path for path in tmp_path.rglob("*perennial-*") if not path.is_dir() and "state" not in path.parts
    ]
    assert left == []
    assert module.commands[0][:2] == ["systemctl", "stop"]


def test_units_of_others_are_left_alone(units: Any, tmp_path: Path) -> None:
    """Other roles have units whose names begin alike."""
    other = tmp_path / "units" / "perennial-cache-agent.service"
    other.write_text("[Unit]\n")
    assert converge(units, tmp_path, [])[1] == []
    assert other.exists()


def test_a_unit_is_confined_and_bounded(units: Any) -> None:
    """A task that runs away or is taken over stays in its place."""
    task = tasks_of("ctl-1")[0]
    text = units.service(task, {"perennial": ["/var/lib/perennial/control"], "www-data": ["/srv/uploads"]})
    assert "/srv/uploads" not in text
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "CapabilityBoundingSet=",
                 "ReadWritePaths=-/var/lib/perennial/control", "TimeoutStartSec=1830",
                 "User=perennial"):  # fmt: skip
        assert line in text.splitlines()
    assert "Persistent=true" in units.timer(task)


def test_a_percent_sign_is_not_a_specifier(units: Any) -> None:
    """Unescaped, systemd would expand it, and refuse the unit or show something else."""
    task = tasks_of("ctl-1")[0] | {"title": "use at most 80% of it"}
    assert "Description=use at most 80%% of it" in units.service(task, {})


def test_the_runner_understands_what_the_module_writes(
    units: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are on the host at different times; their keys must agree."""
    monkeypatch.syspath_prepend(str(MODULE.parents[1] / "files"))
    evidence = importlib.import_module("task_evidence")
    for task in tasks_of("app-1"):
        made = evidence.Task(**json.loads(units.description(task, "lab", "app-1")))
        assert made.unit == "perennial-wp-cron-community"
        assert made.command[1] == "--site=community"


def test_a_stopped_timer_is_seen(units: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files alone do not fire."""
    answer = SimpleNamespace(stdout="active\ninactive\n")
    monkeypatch.setattr(units.subprocess, "run", lambda *_, **__: answer)
    assert units.stopped(["a.timer", "b.timer"]) == ["b.timer"]
