# SPDX-License-Identifier: Apache-2.0
"""Drill files, their records, and drills side by side."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from alerts import commands
from alerts.drill import case as cases
from alerts.drill import result, together
from infra.fleet.exits import Exit, PerennialError
from tests.unit.drill_world import CASE, FAULT, FIXTURES, KNOWN
from tests.unit.fleet_world import platform

if TYPE_CHECKING:
    from pathlib import Path


def test_records_begin_anew_with_another_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was shown of another rule, page or fault counts no more."""
    monkeypatch.setattr(result, "alerts", lambda: KNOWN)
    monkeypatch.setattr(result, "PAGES", FIXTURES)
    path = tmp_path / "drills.json"
    good = result.Result("QueueStuck", "stopped", detected=True, mended=True)
    for one in (good, good, result.Result("QueueStuck", "stopped", valid=False)):
        result.write(CASE, FAULT, one, "unit", path)
    assert (result.read(path)["QueueStuck/stopped"]["n"], result.passed(CASE, FAULT, path)) == (2, True)
    other = FAULT.model_copy(update={"inject": "fault on again"})
    assert not result.passed(CASE, other, path)
    assert result.passed(CASE, FAULT.model_copy(update={"touches": ("edge",)}), path)
    result.write(CASE, other, result.Result("QueueStuck", "stopped"), "unit", path)
    kept = result.read(path)["QueueStuck/stopped"]
    assert (kept["n"], kept["k"], kept["last_passed"]) == (1, 0, False)


def test_faults_side_by_side_share_no_role(tmp_path: Path) -> None:
    """Two of one role at once would take the last healthy host; one that breaks the monitoring is alone."""
    described = platform(tmp_path)
    hosts = {"a": "app-1", "b": "app-2", "c": "edge-1", "d": "mon-1", "e": "db-2"}
    ones = [
        together.One(
            CASE, FAULT.model_copy(update={"name": name, "host": host, "labels": {"instance": host}})
        )
        for name, host in hosts.items()
    ]
    runs = together.Together(described, 3)
    seen: list[set[str]] = []
    gate = threading.Barrier(1)

    def act(one: together.One) -> result.Result:
        """Note who is under way."""
        gate.wait(5)
        seen.append({other.fault.name for other in runs.active.values()})
        return result.Result("QueueStuck", one.fault.name)

    finished: list[str] = []
    ones[3] = ones[3]._replace(case=CASE.model_copy(update={"alone": True}))
    ones[2] = ones[2]._replace(case=CASE.model_copy(update={"alert": "MailLate", "allowed": ("SiteDown",)}))
    runs.run(ones, act, lambda _one, done: finished.append(done.fault))
    assert sorted(finished) == sorted(hosts)
    assert not [names for names in seen if {"a", "b"} <= names or ("d" in names and len(names) > 1)]
    # "a" and "c" began together; what one may cause is no surprise for the other, also when it is over
    assert {"MailLate", "SiteDown"} <= runs.elsewhere(ones[0].case, ones[0].fault)


@pytest.mark.parametrize(
    ("case", "fault", "roles"),
    [
        ({}, {"host": "ctl-1", "healthy_on": "edge-1"}, {"edge"}),
        ({"touches": ("tasks",)}, {"host": "app-1"}, {"tasks"}),
        ({"touches": ("tasks",)}, {"host": "app-1", "touches": ("app", "tasks")}, {"app", "tasks"}),
        ({"touches": ("edge", "app")}, {"host": "app-1", "also": ("app-2",)}, {"edge", "app"}),
    ],
)
def test_a_drill_keeps_to_what_it_touches(
    tmp_path: Path, case: dict[str, Any], fault: dict[str, Any], roles: set[str]
) -> None:
    """The control host only breaks another; a file may say that a drill reaches further, or less far."""
    one = together.One(CASE.model_copy(update=case), FAULT.model_copy(update={"labels": {}, **fault}))
    assert together.Together(platform(tmp_path), 3).roles(one) == roles


def test_drills_under_way_end_whole_when_a_run_is_interrupted(tmp_path: Path) -> None:
    """A fault is not left behind, what was found of it is told, and no other one is begun."""
    runs = together.Together(platform(tmp_path), 1)
    ones = [together.One(CASE, FAULT.model_copy(update={"name": name})) for name in ("first", "second")]

    def act(one: together.One) -> result.Result:
        """Press Ctrl-C while the drill goes on."""
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        return result.Result("QueueStuck", one.fault.name)

    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        runs.run(ones, act, lambda _one, done: told.append(done.fault))
    assert told == ["first"]


@pytest.mark.parametrize(("later", "known"), [(400.0, True), (440.0, False)])
def test_what_a_drill_burned_is_no_surprise_for_the_next_one(
    tmp_path: Path, later: float, known: bool
) -> None:
    """The error budget that an outage burned is told minutes after its end, beside another fault."""
    times = [0.0, 0.0, 100.0, 100.0 + later]
    runs = together.Together(platform(tmp_path), 1, now=lambda: times.pop(0) if len(times) > 1 else times[0])
    first = together.One(CASE.model_copy(update={"allowed": ("MailLate",)}), FAULT)
    second = first._replace(fault=FAULT.model_copy(update={"name": "second"}))
    runs.run(
        [first, second], lambda one: result.Result("QueueStuck", one.fault.name), lambda _one, _done: None
    )
    assert ("MailLate" in runs.elsewhere(second.case, second.fault)) is known


def test_a_fault_of_the_control_host_itself_has_nothing_beside_it(tmp_path: Path) -> None:
    """Every page converges from there."""
    described = platform(tmp_path)
    one = together.One(CASE, FAULT.model_copy(update={"labels": {}, "host": "ctl-1", "healthy_on": ""}))
    assert together.Together(described, 3).roles(one) >= set(described.roles)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alert: QueueStuck\nfaults: []\n", "either faults, or `unshown`"),
        ("alert: SiteDown\nunshown: no\n", "alert is SiteDown"),
        ("alert: QueueStuck\nunshown: x\nallowed: [Gone]\n", "no alert Gone"),
        ("alert: QueueStuck\nfault: []\n", "fault: Extra inputs"),
        ("alert: [\n", "while parsing"),
    ],
)
def test_mistakes_in_a_drill_file_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    """With the file; nothing is broken on a host for a file that cannot be read."""
    monkeypatch.setattr(cases, "alerts", lambda: KNOWN)
    (tmp_path / "QueueStuck.yml").write_text(text)
    with pytest.raises(PerennialError, match=said) as raised:
        cases.read("QueueStuck", tmp_path)
    assert raised.value.code is Exit.USAGE
    assert "QueueStuck.yml" in str(raised.value)


def test_an_invalid_drill_is_no_failure_and_no_pass() -> None:
    """13 says: measure again."""
    good = result.Result("A", "f", detected=True, mended=True)
    assert commands.verdict([good]) is Exit.DONE
    assert commands.verdict([good, result.Result("A", "g", valid=False)]) is Exit.INVALID_MEASUREMENT
    assert commands.verdict([result.Result("A", "f"), result.Result("A", "g", valid=False)]) is Exit.FAILED
