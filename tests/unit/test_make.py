# SPDX-License-Identifier: Apache-2.0
"""The make targets end with the project's exit codes, say what they do before, and leave no child behind."""

from __future__ import annotations

import io
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from infra.fleet.exits import Exit, PerennialError
from infra.inventory import FleetError
from infra.make import __main__ as entry
from infra.make import acts, plan, provision, steps
from infra.make.steps import StepFailedError, Steps
from infra.spec import load
from infra.toolchain.errors import IntegrityError, KeyMissingError, LockedError

if TYPE_CHECKING:
    from collections.abc import Callable


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the program in this process with these arguments."""
    monkeypatch.setattr(sys, "argv", ["infra.make", *words])
    return entry.main()


@pytest.mark.parametrize("words", [("up", "--nope"), ("bogus",), (), ("up", "extra"), ("up", "--env")])
def test_wrong_usage_is_told_in_a_line_with_64(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input never ends in a traceback (design, section 7)."""
    assert call(monkeypatch, *words) == Exit.USAGE
    told = capsys.readouterr()
    told_at_all = told.out + told.err
    assert told_at_all.strip()
    assert "Traceback" not in told_at_all


def test_an_unknown_environment_is_named_with_those_that_exist(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reader learns the nearest thing that works."""
    assert call(monkeypatch, "converge", "--env", "nope") == Exit.USAGE
    assert "'nope'" in (told := capsys.readouterr().err)
    assert "lab" in told


FAILURES: list[tuple[BaseException, int]] = [
    (StepFailedError("machines", 255, "no room", Path("/x.log"), "make up"), Exit.FAILED),
    (PerennialError("held", code=Exit.LOCKED), Exit.LOCKED),
    (LockedError("held by another"), Exit.LOCKED),
    (KeyMissingError("not the passphrase"), Exit.KEY),
    (IntegrityError("damaged"), Exit.INTEGRITY),
    (FleetError("no machines yet"), Exit.USAGE),
    (KeyboardInterrupt(), Exit.INTERRUPTED),
]


@pytest.mark.parametrize(("failure", "code"), FAILURES, ids=lambda value: type(value).__name__)
def test_each_failure_ends_with_its_code_of_the_one_table(
    failure: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs that call make tell by the code whether waiting, a key or a person helps."""

    def fail(*_: object, **__: object) -> int:
        raise failure

    monkeypatch.setattr(acts, "up", fail)
    assert call(monkeypatch, "up", "--yes") == code
    told = capsys.readouterr().err
    assert (str(failure) or "interrupted; run the same command again") in told
    assert "Traceback" not in told
    assert "fault of Perennial" not in told


def test_long_messages_are_not_broken_over_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path that is cut in two cannot be copied, also not out of a log."""
    message = f"{'/long' * 40} is not the passphrase"
    monkeypatch.setattr(acts, "up", lambda *_, **__: _throw(KeyMissingError(message)))
    call(monkeypatch, "up")
    assert any(line.endswith(message) for line in capsys.readouterr().err.splitlines())


def _throw(error: Exception) -> int:
    raise error


def test_down_of_an_environment_that_is_not_disposable_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither --yes nor anything else overrides it (design, section 7)."""
    platform = load("lab")
    kept = replace(platform, environment=platform.environment.model_copy(update={"disposable": False}))
    monkeypatch.setattr(acts, "load", lambda _: kept)
    monkeypatch.setattr(acts, "_acting", _never)
    assert call(monkeypatch, "down", "--yes") == Exit.REFUSED


def _never(*_: object, **__: object) -> None:
    pytest.fail("it acted")


@pytest.mark.parametrize("target", ["up", "down"])
def test_no_for_an_answer_changes_nothing(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan comes first, then the question."""
    monkeypatch.setattr(acts, "ask", lambda *_, **__: False)
    monkeypatch.setattr(acts, "_acting", _never)
    assert call(monkeypatch, target) == Exit.REFUSED


def test_the_plan_names_every_change_on_this_machine_and_the_way_back() -> None:
    """Bridge, firewall, disk, memory, cache and the command that undoes it."""
    told = "\n".join(plan.up_plan(load("lab")))
    for word in ("pl-lab", "10.87.0.0/24", "nftables", "GiB", "memory", "3143", "minutes", "make down"):
        assert word in told


@pytest.mark.parametrize(("substrate", "swept"), [("lab", True), ("existing", False)])
def test_down_also_removes_what_no_state_knows(
    substrate: str, swept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that failed half way is in no state of Pulumi, and its bridge stayed for ever."""
    commands: list[list[str]] = []
    monkeypatch.setattr(Steps, "run", lambda _self, _title, command, **_: commands.append(list(command)))
    platform = load("test")
    environment = platform.environment.model_copy(update={"substrate": substrate})
    provision.unprovision(Steps(tmp_path / "log"), replace(platform, environment=environment))
    assert commands[0][1] == "destroy"
    assert [command[-2:] for command in commands[1:]] == ([["remove", "test"]] if swept else [])


def test_a_failed_step_names_itself_its_log_and_the_next_command(tmp_path: Path) -> None:
    """And everything that the program said is in the log."""
    run = Steps(tmp_path / "logs" / "up.log")
    with pytest.raises(
        StepFailedError, match=r"machines failed \(exit 3\); whole output: .*up.log; next: make up"
    ):
        run.run("machines", ["sh", "-c", "echo said; exit 3"], cwd=tmp_path, hint="make up")
    assert "said\n" in (tmp_path / "logs" / "up.log").read_text("utf-8")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            ["Diagnostics:", "    error: update failed", "    error: port 3143 is in use"],
            "port 3143 is in use",
        ),
        (["  lab:index:Network: error: bridge: no right to make it"], ""),
        (["fatal: [edge-1]: FAILED! => no such file"], "[edge-1]: FAILED! => no such file"),
        (["all went well"], ""),
    ],
    ids=["pulumi", "in passing", "ansible", "none"],
)
def test_the_first_error_of_a_step_is_told(lines: list[str], reason: str) -> None:
    """The last line of a failed command is what CI and people see; it must say why."""
    assert steps.first_error(lines) == reason


def interrupted_at_work(script: str, cwd: Path) -> None:
    """Run a script and be interrupted once it runs; `started` has its process id."""
    with steps._process(["bash", "-c", script], cwd, None) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        started.append(process.pid)
        raise KeyboardInterrupt


started: list[int] = []


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "], ids=["ends when asked", "must be killed"])
def test_an_interrupted_step_leaves_no_program_behind(
    stubborn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run would meet it at work on the same hosts."""
    end: Callable[..., None] = steps._end
    monkeypatch.setattr(steps, "_end", lambda process: end(process, 0.3))
    script = f"{stubborn}echo ready; i=0; while [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done"
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted_at_work(script, tmp_path)
    assert time.monotonic() - begin < 10
    assert not psutil.pid_exists(started[-1])


def test_a_question_is_asked_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline must not wait for a person."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert steps.ask("Go on?", yes=False)
