# SPDX-License-Identifier: Apache-2.0
"""Which alert a person means, and what a program may not agree to in a person's place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infra.cli import runbook_run
from infra.fleet.exits import Exit, PerennialError
from infra.runbook import page, record
from infra.runbook.monitoring import Live
from infra.runbook.run import Answer
from tests.unit.fleet_world import fleet
from tests.unit.runbook_world import LABELS, Queue

FIXTURES = Path(__file__).with_name("runbook_fixtures")


@pytest.fixture(name="queue")
def fixture_queue() -> Queue:
    """Return a stuck queue."""
    return Queue()


def a_choice(**given: object) -> runbook_run.Choice:
    """Return what a command line without options chooses, but for `given`."""
    base = {
        "labels": {}, "fingerprint": "", "dry_run": False, "yes": False, "confirm": "", "resume": False,
        "rollback": False, "without_alert": False, "as_json": False, "reason": "test",
    }  # fmt: skip
    return runbook_run.Choice(**{**base, **given})  # type: ignore[arg-type]


def test_which_alert_is_meant(queue: Queue) -> None:
    """One that fires is taken; of several one must be named; none is nothing to do."""
    assert runbook_run.the_alert(queue, "QueueStuck", a_choice()) == queue.firing("QueueStuck")[0]
    two = [Live(f"f{n}", {"instance": f"app-{n}"}, f"stuck {n}", "now") for n in (1, 2)]
    queue.alerts = two
    with pytest.raises(PerennialError, match=r"2 of them fire, 2 of those fit.*--fingerprint f1 \(stuck 1\)"):
        runbook_run.the_alert(queue, "QueueStuck", a_choice())
    assert runbook_run.the_alert(queue, "QueueStuck", a_choice(fingerprint="f2")) is two[1]
    assert runbook_run.the_alert(queue, "QueueStuck", a_choice(labels={"instance": "app-1"})) is two[0]
    queue.alerts = []
    assert runbook_run.the_alert(queue, "QueueStuck", a_choice()) is None


def test_a_destroying_block_wants_its_token_even_unattended(queue: Queue, tmp_path: Path) -> None:
    """--yes is no token."""
    read = page.read(FIXTURES / "DiskFull.md")
    (block,) = [block for block in read.blocks if block.attributes.kind is page.Class.DESTROY]
    described = fleet(tmp_path)
    with pytest.raises(PerennialError, match="--confirm 'unit app-1'") as raised:
        runbook_run.answer(described, block, ("app-1",), a_choice(yes=True))
    assert raised.value.code is Exit.REFUSED
    assert runbook_run.answer(described, block, ("app-1",), a_choice(confirm="unit app-1")) is Answer.RUN


def test_a_question_says_why_it_is_asked_and_with_which_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 03:00 nobody looks up what `$instance` is, or which look led here."""
    read = page.read(FIXTURES / "QueueStuck.md")
    monkeypatch.setattr(record, "folder", lambda _environment: tmp_path)
    kept = record.new(read, "unit", LABELS, "f1")
    kept.put(record.Step(name="look", hosts=("app-1",), state=record.State.DONE))
    kept.put(record.Step(name="healthy", hosts=("app-1",), state=record.State.NOT_MET, why="no 'moving'"))
    block = replace(read.block("stop"), text='queue stop "$instance"\n')
    told = runbook_run.reasons(block, kept)
    assert told == ["because look: done", "because healthy: no 'moving'", "with instance=app-1"]


def test_an_alert_that_is_about_to_fire_is_told_from_one_that_does_not(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing to do would be wrong in the minute before it fires."""
    monkeypatch.setattr(queue, "query", lambda _text: ["ALERTS 1"])
    assert "about to fire" in runbook_run._quiet(queue, "QueueStuck", "unit")
    monkeypatch.setattr(queue, "query", lambda _text: [])
    assert "nothing to do" in runbook_run._quiet(queue, "QueueStuck", "unit")
