# SPDX-License-Identifier: Apache-2.0
"""Which alert a person means, and what a program may not agree to in a person's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli import runbook_run
from infra.fleet.exits import Exit, PerennialError
from infra.runbook import page
from infra.runbook.monitoring import Live
from infra.runbook.run import Answer
from tests.unit.fleet_world import fleet
from tests.unit.runbook_world import Queue

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
