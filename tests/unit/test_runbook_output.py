# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a block's output, and that the log of the run has all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli import runbook_run
from infra.fleet.exits import Exit
from infra.fleet.remote import Result
from infra.runbook import record
from infra.runbook.output import excerpt
from infra.runbook.record import OUTPUT_MOST
from tests.unit.runbook_world import Queue, a_run

LOG = Path("/log")
STARS = "*" * 60


def numbered(count: int) -> str:
    """Return that many lines."""
    return "".join(f"line {number}\n" for number in range(1, count + 1))


def ansible(changed: str = "changed: [app-1]") -> str:
    """Return what ansible-playbook prints where one of 41 tasks is not quiet."""
    quiet = "".join(f"TASK [app : quiet {n}] {STARS}\nok: [app-1]\nok: [app-2]\n\n" for n in range(40))
    recap = f"PLAY RECAP {STARS}\napp-1   : ok=41   changed=1   unreachable=0   failed=0\n"
    loud = f"TASK [app : nginx site] {STARS}\nok: [app-2]\n{changed}\n\n"
    return f"PLAY [Application hosts] {STARS}\n\n{quiet}{loud}{recap}"


def test_what_fits_a_screen_is_shown_as_it_is() -> None:
    """Nothing is left out, and no log is named."""
    assert excerpt(numbered(30), LOG, failed=False) == numbered(30).splitlines()


def test_of_more_the_first_and_the_last_lines_are_shown() -> None:
    """With how many are between them, and where."""
    shown = excerpt(numbered(100), LOG, failed=False)
    assert shown[:2] == ["line 1", "line 2"]
    assert shown[10] == "… 70 lines more in /log"
    assert shown[11:] == numbered(100).splitlines()[-20:]


def test_of_a_failure_the_last_forty_lines_are_shown() -> None:
    """Of Ansible's output too: what went before a failure explains it."""
    shown = excerpt(numbered(100), LOG, failed=True)
    assert shown == ["… 60 lines more in /log", *numbered(100).splitlines()[-40:]]
    told = ansible("fatal: [app-1]: FAILED! => no such file")
    assert excerpt(told, LOG, failed=True)[-40:] == told.rstrip().splitlines()[-40:]


@pytest.mark.parametrize(
    "loud",
    [
        "changed: [app-1]",
        "changed: [app-1] => (item=a)",
        "failed: [app-1] (item=b) => no",
        "fatal: [app-1]: UNREACHABLE! => no route",
        "[WARNING]: a key is old",
    ],
)
def test_of_ansible_what_changed_and_the_recap_are_shown(loud: str) -> None:
    """Hundreds of tasks that found all as it should be say nothing."""
    assert excerpt(ansible(loud), LOG, failed=False) == [
        "TASK [app : nginx site]",
        loud,
        "PLAY RECAP",
        "app-1   : ok=41   changed=1   unreachable=0   failed=0",
        f"… {len(ansible(loud).splitlines()) - 4} lines more in /log",
    ]


def test_what_a_block_prints_beside_ansible_is_shown() -> None:
    """Before its first play and after its recap."""
    shown = excerpt(f"before\n{ansible()}after\n", LOG, failed=False)
    assert shown[0] == "before"
    assert shown[-2] == "after"


def test_all_is_shown_to_who_asks_for_it() -> None:
    """`--verbose`."""
    assert excerpt(ansible(), LOG, failed=False, whole=True) == ansible().rstrip().splitlines()


@pytest.mark.parametrize(("verbose", "failed"), [(False, False), (True, False), (False, True)])
def test_a_run_shows_little_and_keeps_all(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    verbose: bool,
    failed: bool,
) -> None:
    """The log is named where it has more; its owner alone may read it; the record keeps the end."""
    monkeypatch.setattr(record, "folder", lambda _environment: tmp_path / "runbooks")
    queue = Queue()
    queue.trouble["flush"] = Result("app-1", int(failed), numbered(5000))
    run = a_run(queue, tmp_path)
    queue.mended_by_itself = True
    log = run.record.log
    run.show = lambda block, step, output: runbook_run.shown(block, step, output, log, verbose=verbose)
    assert run.forward() is (Exit.FAILED if failed else Exit.DONE)
    told = capsys.readouterr().err
    lines = [line.strip() for line in told.splitlines() if line.startswith("    line")]
    assert len(lines) == (5000 if verbose else 40 if failed else 30)
    assert lines[-1] == "line 5000"
    assert (f"lines more in {log}" in told) is not verbose
    assert numbered(5000) in log.read_text("utf-8")
    assert "flush on app-1: exit" in log.read_text("utf-8")
    assert log.stat().st_mode & 0o777 == 0o600
    flush = run.record.step("flush")
    assert flush is not None
    assert flush.output == numbered(5000)[-OUTPUT_MOST:]


def test_an_undo_is_shown_and_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It acts on the host as well."""
    monkeypatch.setattr(record, "folder", lambda _environment: tmp_path / "runbooks")
    queue = Queue()
    queue.trouble |= {"flush": Result("app-1", 3), "start": Result("app-1", 0, "starting anew")}
    run = a_run(queue, tmp_path)
    seen: list[str] = []
    run.show = lambda block, _step, output: seen.append(f"{block.attributes.name}: {output}")
    run.forward()
    assert "start: starting anew" in seen
    assert "start on app-1: exit 0\nstarting anew" in run.record.log.read_text("utf-8")


def test_an_expectation_is_judged_by_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a long answer says at its end counts as well."""
    monkeypatch.setattr(record, "folder", lambda _environment: tmp_path / "runbooks")
    queue = Queue()
    queue.trouble["look"] = Result("app-1", 0, "x" * OUTPUT_MOST + "\nstuck\n")
    run = a_run(queue, tmp_path)
    run.forward()
    look = run.record.step("look")
    assert look is not None
    assert look.state is record.State.DONE
