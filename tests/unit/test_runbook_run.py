# SPDX-License-Identifier: Apache-2.0
"""A page that is run: every way it can go has a defined end, which its record tells."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from infra.cli import runbook_run
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.remote import SSH_FAILED, Result
from infra.runbook import page, record
from infra.runbook.record import State
from infra.runbook.run import Answer
from tests.unit.runbook_world import LABELS, Queue, a_run, edit

if TYPE_CHECKING:
    from pathlib import Path

    from infra.runbook.run import Run

CHANGES = ["stop", "flush"]


@pytest.fixture(name="queue")
def fixture_queue() -> Queue:
    """Return a stuck queue."""
    return Queue()


@pytest.fixture(autouse=True)
def fixture_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep records in the test's own folder."""
    monkeypatch.setattr(record, "folder", lambda _environment: tmp_path / "runbooks")


def states(run: Run) -> dict[str, str]:
    """Return block → state, as the file on disk has it."""
    kept = record.latest("QueueStuck", "unit")
    assert kept is not None
    assert kept == run.record
    return {step.name: step.state for step in kept.steps}


def test_a_page_mends_what_it_is_for(queue: Queue, tmp_path: Path) -> None:
    """The positive control of every case below: looks, changes in their order, verification."""
    run = a_run(queue, tmp_path)
    assert run.forward() is Exit.DONE
    assert queue.acts() == CHANGES
    assert states(run) == {
        "look": "done", "healthy": "not met", "stop": "done", "flush": "done", "moves": "done",
    }  # fmt: skip


def test_nothing_is_changed_where_nothing_is_wrong(queue: Queue, tmp_path: Path) -> None:
    """A look that does not see the fault keeps its change from being done; what verifies still holds."""
    queue.flushed = True
    run = a_run(queue, tmp_path)
    run.still_firing = lambda: True
    assert run.forward() is Exit.DONE
    assert queue.acts() == []
    assert states(run)["stop"] == states(run)["flush"] == "skipped"


def test_an_alert_that_resolves_meanwhile_stops_the_changes(queue: Queue, tmp_path: Path) -> None:
    """Somebody else mended it: no further hand is laid on the host."""
    run = a_run(queue, tmp_path)
    run.still_firing = lambda: False
    run.forward()
    assert queue.acts() == []
    assert run.record.step("stop").why == "the alert does not fire any more"  # type: ignore[union-attr]


def test_a_change_that_fails_is_undone_in_reverse_order(queue: Queue, tmp_path: Path) -> None:
    """The failed step itself too: nobody knows how far it came."""
    queue.trouble["flush"] = Result("app-1", 3, "", "no")
    run = a_run(queue, tmp_path)
    assert run.forward() is Exit.FAILED
    assert queue.acts() == ["stop", "flush", "refill", "start"]
    assert states(run) | {"look": "", "healthy": ""} == {
        "look": "", "healthy": "", "stop": "rolled back", "flush": "rolled back",
    }  # fmt: skip


def test_a_verification_that_does_not_come_true_is_undone(queue: Queue, tmp_path: Path) -> None:
    """After its wait of a minute, looked at again and again until then."""
    run = a_run(queue, tmp_path)
    queue.never_moves = True
    assert run.forward() is Exit.FAILED
    assert len(queue.queries) > 2
    assert queue.acts() == ["stop", "flush", "refill", "start"]


def test_an_undo_that_fails_has_its_own_exit_code_and_stops_no_other(queue: Queue, tmp_path: Path) -> None:
    """93: a person must look; the other undo is tried all the same."""
    queue.trouble |= {"flush": Result("app-1", 3), "refill": Result("app-1", 1, "", "gone")}
    run = a_run(queue, tmp_path)
    assert run.forward() is Exit.ROLLBACK_FAILED
    assert queue.acts() == ["stop", "flush", "refill", "start"]
    assert states(run)["flush"] == "rollback failed"
    assert states(run)["stop"] == "rolled back"


@pytest.mark.parametrize("still_there", [True, False])
def test_lost_contact_is_not_an_end(queue: Queue, tmp_path: Path, *, still_there: bool) -> None:
    """Nothing is undone and nothing goes on; what still runs there is ended and that is said."""
    run = a_run(queue, tmp_path)
    unit = f"perennial-runbook-{run.record.run}-flush.service"
    queue.trouble["flush"] = Result("app-1", SSH_FAILED, "", "broken pipe")
    queue.running |= {unit} if still_there else set()
    assert run.forward() is Exit.FAILED
    assert queue.acts() == CHANGES
    assert states(run)["flush"] == "unverifiable"
    said = "it still ran there and was ended" if still_there else "it does not run there any more"
    assert said in run.record.step("flush").why  # type: ignore[union-attr]
    assert not queue.running


def test_a_command_without_an_end_is_ended_by_its_host(queue: Queue, tmp_path: Path) -> None:
    """The limit travels with the unit, and what the host ended is a failure that is undone."""
    queue.trouble["flush"] = Result("app-1", 1, "", "", seconds=10.2)
    run = a_run(queue, tmp_path)
    assert run.forward() is Exit.FAILED
    assert any("--property=RuntimeMaxSec=10" in line for _, line in queue.runner.commands)
    (flush,) = [step for step in run.record.steps if step.name == "flush"]
    assert flush.state is State.ROLLED_BACK


@pytest.mark.parametrize("killed_at", ["look", "state", "stop", "flush"])
def test_a_killed_runner_is_resumed_where_it_was(queue: Queue, tmp_path: Path, killed_at: str) -> None:
    """Whatever step it died in: what was done is not done again, what was begun is."""

    def die() -> None:
        """Die in the middle of it."""
        raise KeyboardInterrupt

    queue.trouble[killed_at] = die
    with pytest.raises(KeyboardInterrupt):
        a_run(queue, tmp_path).forward()
    queue.trouble.clear()
    kept = record.latest("QueueStuck", "unit")
    assert kept is not None
    assert [step.state for step in kept.steps][-1] is State.BEGUN
    again = a_run(queue, tmp_path, kept=kept)
    assert again.forward() is Exit.DONE
    acts = queue.acts()
    assert list(dict.fromkeys(acts)) == CHANGES
    assert [act for act in CHANGES if acts.count(act) > 1] == ([killed_at] if killed_at in CHANGES else [])


def test_labels_reach_a_shell_as_environment_and_a_query_as_a_string(queue: Queue, tmp_path: Path) -> None:
    """A label is somebody's word: it is no part of any command's text."""
    evil = '"; rm -rf / #$(reboot)'
    run = a_run(queue, tmp_path, LABELS | {"site": evil, "PATH": "/tmp"})
    run.forward()
    units = [shlex.split(line) for _, line in [*queue.runner.reads, *queue.runner.commands]]
    texts = [words[-1] for words in units if words[0] == "systemd-run"]
    assert texts
    assert not [text for text in texts if "rm -rf" in text]
    assert all(f"--setenv=site={evil}" in words for words in units if words[0] == "systemd-run")
    assert all("--expand-environment=no" in words for words in units if words[0] == "systemd-run")
    assert not [words for words in units if "--setenv=PATH=/tmp" in words]
    assert queue.queries[0].startswith('queue_stuck{instance="app-1", site="\\"; rm -rf / #$(reboot)"}')


@pytest.mark.parametrize(
    ("instance", "said"),
    [("app-9", "no enabled host"), ("app-3", "no enabled host"), (None, "the alert has no label instance")],
)
def test_a_block_without_a_host_is_an_error_before_anything(
    queue: Queue, tmp_path: Path, instance: str | None, said: str
) -> None:
    """Unknown, disabled, or a label that the alert lacks: the plan says so and nothing was done."""
    labels = {key: value for key, value in LABELS.items() if key != "instance"}
    run = a_run(queue, tmp_path, labels | ({"instance": instance} if instance else {}))
    with pytest.raises(PerennialError, match=said) as raised:
        run.plan()
    assert raised.value.code is Exit.USAGE
    assert queue.runner.commands == queue.runner.reads == []


def test_a_change_on_more_hosts_than_its_page_allows_is_refused(queue: Queue, tmp_path: Path) -> None:
    """`role:app` grew by a host since the page was written."""
    run = a_run(queue, tmp_path)
    edited = edit(tmp_path, '"stop", "host": "$instance"', '"stop", "host": "role:app"')
    run.page = edited
    with pytest.raises(PerennialError, match="would change 2 hosts") as raised:
        run.plan()
    assert raised.value.code is Exit.REFUSED


@pytest.mark.parametrize(("well_on", "acts"), [({"app-2"}, ["stop", "flush"]), ({"app-1", "app-2"}, [])])
def test_a_change_is_not_needed_only_where_all_hosts_are_well(
    queue: Queue, tmp_path: Path, well_on: set[str], acts: list[str]
) -> None:
    """One healthy host of two says nothing about the one that is in trouble."""
    edited = edit(tmp_path, '"healthy", "host": "$instance"', '"healthy", "host": "role:app"')
    run = a_run(queue, tmp_path)
    run.page = edited
    queue.well_on = well_on
    run.forward()
    assert queue.acts()[:2] == acts


def test_the_last_healthy_host_is_not_touched(queue: Queue, tmp_path: Path) -> None:
    """`peers` counts the others by their real health at that moment."""
    edited = edit(tmp_path, '"requires": ["look"],', '"requires": ["look"], "peers": 1,')
    run = a_run(queue, tmp_path)
    run.page = edited
    queue.down.add(("app-2", "php8.4-fpm"))
    with pytest.raises(
        PerennialError, match="needs 1 other healthy host of app; healthy are: none"
    ) as raised:
        run.forward()
    assert raised.value.code is Exit.REFUSED
    assert queue.acts() == []
    queue.down.clear()
    assert run.forward() is Exit.DONE


@pytest.mark.parametrize(("answer", "outcome"), [(Answer.SKIP, Exit.PARTIAL), (Answer.STOP, Exit.REFUSED)])
def test_a_person_may_leave_a_change_out_or_stop(
    queue: Queue, tmp_path: Path, answer: Answer, outcome: Exit
) -> None:
    """Left out is not done: neither is what needs it, and the end says so."""
    run = a_run(queue, tmp_path)
    run.ask = lambda _block, _hosts: answer
    queue.mended_by_itself = True
    if answer is Answer.STOP:
        with pytest.raises(PerennialError, match="--resume") as raised:
            run.forward()
        assert raised.value.code is outcome
    else:
        assert run.forward() is outcome
    assert queue.acts() == []


def test_a_page_that_changed_is_not_resumed(queue: Queue, tmp_path: Path) -> None:
    """Its steps may mean something else by now."""
    run = a_run(queue, tmp_path)
    run.forward()
    (tmp_path / "QueueStuck.md").write_text(run.page.text + "\nmore\n")
    with pytest.raises(PerennialError, match="the page has changed") as raised:
        runbook_run.unfinished(page.read(tmp_path / "QueueStuck.md"), "unit", rollback=False)
    assert raised.value.code is Exit.REFUSED
