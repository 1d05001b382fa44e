# SPDX-License-Identifier: Apache-2.0
"""What a run of the journey tells: metrics for the runner of tasks, lines for people, an exit code."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.fleet.exits import PerennialError
from infra.journey.samples import samples
from infra.schedule import commands
from infra.spec import CHECKOUT, load
from tests.unit.journey_world import NAMES, REST, Site, answer, carried_out


def test_every_step_has_its_samples_from_the_first_run_on() -> None:
    """Of the step that failed, of those before it and of those that were not reached."""
    site = Site()
    site.broken[f"POST {REST}/posts"] = answer(500)
    found = samples(carried_out(site), "community", 1_800_000_000.0)
    of = {
        (one["name"].removeprefix("perennial_journey_"), one["labels"].get("step", "")): one["value"]
        for one in found
    }
    assert {one["labels"]["site"] for one in found} == {"community"}
    assert (of["success", ""], of["last_run_timestamp_seconds", ""]) == (0, 1_800_000_000.0)
    assert {name: of["step_failed", name] for name in NAMES} == {
        name: float(name == "post") for name in NAMES
    }
    passed = {name: of["step_passed", name] for name in NAMES}
    assert passed == dict(zip(NAMES, [1, 1, 0, 0, 0, 0, 0], strict=True))
    assert [name for name in NAMES if ("step_seconds", name) in of] == ["log in", "clean up", "post"]
    assert samples(carried_out(Site()), "community", 0.0)[0]["value"] == 1


@pytest.mark.parametrize("broken", [False, True])
def test_the_command_prints_what_the_runner_of_tasks_understands(
    monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """The last line becomes metrics; the exit code says whether the run counts."""
    site: Any = Site()
    if broken:
        site.broken["POST /wp-login.php"] = answer(429)
    monkeypatch.setattr(commands, "read_fleet", lambda _: SimpleNamespace(platform=load("lab")))
    monkeypatch.setattr("infra.journey.run", lambda _fleet, _site: carried_out(site))
    done = CliRunner().invoke(commands.app, ["journey", "community"])
    assert done.exit_code == int(broken)
    monkeypatch.syspath_prepend(CHECKOUT / "roles/schedule/files")
    runner = importlib.import_module("task_runner")
    said = runner.last_line(done.stdout)
    assert runner.items_of(said) == ({"passed": 0, "failed": 1} if broken else {"passed": 7, "failed": 0})
    assert {one["name"] for one in runner.samples_of(said)} >= {"perennial_journey_success"}
    assert len(runner.samples_of(said)) == len(json.loads(done.stdout.splitlines()[-1])["samples"])


def test_an_unknown_site_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input gets what, where and the nearest valid name."""
    monkeypatch.setattr(commands, "read_fleet", lambda _: SimpleNamespace(platform=load("lab")))
    done = CliRunner().invoke(commands.app, ["journey", "comunity"])
    assert isinstance(done.exception, PerennialError)
    assert "did you mean 'community'" in str(done.exception)
