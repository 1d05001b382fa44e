# SPDX-License-Identifier: Apache-2.0
"""A dry run of a page: it looks once, waits for nothing, changes nothing, and says what a run would do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infra.cli import runbook_run
from infra.fleet.exits import Exit, PerennialError
from infra.runbook import record
from infra.runbook.record import State
from tests.unit.fleet_world import fleet
from tests.unit.runbook_world import LABELS, Queue, a_run, edit
from tests.unit.test_runbook_choice import a_choice

if TYPE_CHECKING:
    from pathlib import Path

    from infra.runbook.run import Run

AGAIN = """```bash {"name": "moving-now", "host": "role:app", "class": "observe", "timeout": "10s", \
"wait": "10s", "expect": {"regex": "moving"}}
queue state
```

```bash {"name": "restart", "host": "$instance", "class": "change", "timeout": "10s", \
"unless": ["moving-now"]}
queue restart
```

## Verification"""


@pytest.fixture(name="queue")
def fixture_queue() -> Queue:
    """Return a stuck queue."""
    return Queue()


@pytest.fixture(autouse=True)
def fixture_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep records in the test's own folder."""
    monkeypatch.setattr(record, "folder", lambda _environment: tmp_path / "runbooks")


def a_dry_run(queue: Queue, tmp_path: Path) -> Run:
    """Return a dry run of the page whose every pause is an error."""
    run = a_run(queue, tmp_path)
    run.dry_run, run.record.dry_run = True, True
    run.pause = lambda _seconds: pytest.fail("a dry run waits")
    return run


def state(run: Run, name: str) -> State:
    """Return what became of a block."""
    found = run.record.step(name)
    assert found is not None
    return found.state


def test_it_looks_once_and_changes_nothing(queue: Queue, tmp_path: Path) -> None:
    """A look that only a change could satisfy is asked once; that is no failure."""
    run = a_dry_run(queue, tmp_path)
    assert run.forward() is Exit.DONE
    assert queue.acts() == []
    assert [state(run, name) for name in ("look", "healthy")] == [State.DONE, State.NOT_MET]
    assert [state(run, name) for name in ("stop", "flush")] == [State.SKIPPED] * 2
    assert len(queue.queries) == 1
    assert state(run, "moves") is State.NOT_YET
    moves = run.record.step("moves")
    assert moves is not None
    assert moves.why.startswith("a run would act first: stop, flush; mon-1: it answers something")


def test_what_needs_a_change_that_was_left_out_is_told_too(queue: Queue, tmp_path: Path) -> None:
    """`flush` needs `stop`: a run would do both."""
    run = a_dry_run(queue, tmp_path)
    run.forward()
    assert run.rehearsal.sentence() == (
        "nothing was changed; a run would do: stop on app-1; flush on app-1; it would wait for: moves"
    )


@pytest.mark.parametrize("well_on", [set(), {"app-2"}])
def test_what_depends_on_a_change_is_told_with_its_condition(
    queue: Queue, tmp_path: Path, well_on: set[str]
) -> None:
    """Whether the queue moves after `flush` is not known before it, on each host that does not move yet."""
    run = a_dry_run(queue, tmp_path)
    run.page = edit(tmp_path, "## Verification", AGAIN)
    queue.well_on = well_on
    assert run.forward() is Exit.DONE
    assert state(run, "moving-now") is (State.DONE if well_on else State.NOT_YET)
    assert "; restart on app-1 (if moving-now does not hold by then)" in run.rehearsal.sentence()


def test_where_all_is_well_a_run_would_change_nothing_either(queue: Queue, tmp_path: Path) -> None:
    """Looks that hold are told as such, and the sentence names no act."""
    queue.flushed = True
    run = a_dry_run(queue, tmp_path)
    assert run.forward() is Exit.DONE
    assert state(run, "moves") is State.DONE
    assert run.rehearsal.sentence() == "nothing was changed; a run would change nothing either"


def test_a_verification_that_would_be_waited_for_is_not_yet_met(queue: Queue, tmp_path: Path) -> None:
    """Without any change to make a run would look again until the wait of the page ends."""
    queue.flushed, queue.never_moves = True, True
    run = a_dry_run(queue, tmp_path)
    assert run.forward() is Exit.DONE
    moves = run.record.step("moves")
    assert moves is not None
    assert moves.state is State.NOT_YET
    assert "a run would look again, for 1m at most" in moves.why


def test_its_record_is_not_one_to_resume(queue: Queue, tmp_path: Path) -> None:
    """What a dry run left out was not done: a run resumed from there would do nothing and end well."""
    a_dry_run(queue, tmp_path).forward()
    assert record.latest("QueueStuck", "unit") is None
    run = a_run(queue, tmp_path)
    run.forward()
    a_dry_run(queue, tmp_path).forward()
    assert record.latest("QueueStuck", "unit") == run.record


def execute(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **given: object) -> Exit:
    """Run the page as the command does, on hosts in memory."""
    monkeypatch.setattr(runbook_run, "LiveMonitoring", lambda _fleet: queue)
    monkeypatch.setattr(runbook_run, "SshRunner", lambda _fleet, **_options: queue.runner)
    return runbook_run.execute(fleet(tmp_path), a_run(queue, tmp_path).page, a_choice(dry_run=True, **given))


def test_the_command_ends_with_what_a_run_would_do(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not with `done`: nothing was. What a look answered and what was left out stand above it."""
    queue.alerts = [replace(queue.alerts[0], labels=LABELS)]
    assert execute(queue, tmp_path, monkeypatch) is Exit.DONE
    told = capsys.readouterr()
    assert told.out.startswith(
        "QueueStuck: dry run: nothing was changed; a run would do: stop on app-1; flush"
    )
    assert "done" not in told.out
    assert "moves on mon-1: not yet" in told.err
    assert "    stuck" in told.err
    assert "    queue stop" in told.err
    assert f"all that was printed: {tmp_path}/runbooks/dry-runs/QueueStuck-" in told.err


def test_to_look_at_a_run_that_stopped_leaves_its_record_as_it_is(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--resume --dry-run` and `--rollback --dry-run` read the record and act on nothing."""

    def die() -> None:
        """Die in the middle of it."""
        raise KeyboardInterrupt

    queue.trouble["flush"] = die
    with pytest.raises(KeyboardInterrupt):
        a_run(queue, tmp_path).forward()
    queue.trouble.clear()
    before = record.latest("QueueStuck", "unit")
    acts = queue.acts()
    assert execute(queue, tmp_path, monkeypatch, resume=True) is Exit.DONE
    assert "a run would do: flush on app-1" in capsys.readouterr().out
    assert execute(queue, tmp_path, monkeypatch, rollback=True) is Exit.DONE
    assert "nothing was changed; a run would undo stop: start on app-1" in capsys.readouterr().out
    assert record.latest("QueueStuck", "unit") == before
    assert queue.acts() == acts


def test_to_resume_after_a_dry_run_alone_is_refused(queue: Queue, tmp_path: Path) -> None:
    """There is no run to go on with."""
    run = a_dry_run(queue, tmp_path)
    run.forward()
    with pytest.raises(PerennialError, match="was never run from this machine"):
        runbook_run.unfinished(run.page, "unit", rollback=False)
