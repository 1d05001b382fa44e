# SPDX-License-Identifier: Apache-2.0
"""The command line: lazy, clear in its refusals, quiet about secrets, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from infra.cli import common, errors, fleet_acts, groups, secret
from infra.cli import fleet as fleet_commands
from infra.cli import main as entry
from infra.fleet import journal
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.lock import NullLock
from infra.inventory import FleetError
from infra.make.steps import StepFailedError
from infra.spec import CHECKOUT, Problem, SpecError
from infra.toolchain.errors import KeyMissingError
from tests.unit.fleet_world import World, fleet


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Let every command act on a fleet in memory, with its journal in a folder of the test."""
    made, described = World(), fleet(tmp_path)

    def runner(_: object, *, dry_run: bool = True) -> object:
        made.runner.dry_run = dry_run
        return made.runner

    for module in (fleet_commands, fleet_acts):
        monkeypatch.setattr(module, "fleet_of", lambda _: described, raising=False)
        monkeypatch.setattr(module, "SshRunner", runner)
    for name in ("rolling", "pool", "lock", "audit_delivery"):
        monkeypatch.setattr(f"infra.fleet.{name}.SshRunner", runner)
    monkeypatch.setattr("infra.fleet.rolling.Silences.of", lambda _: None)
    monkeypatch.setattr("infra.fleet.lock.held", lambda *_, **__: _nothing())
    monkeypatch.setattr(secret, "fleet_of", lambda _: described)
    monkeypatch.setattr(secret, "load", lambda _: described.platform)
    for module in (fleet_acts, fleet_commands):
        monkeypatch.setattr(module, "journal_directory", lambda _: tmp_path / "j", raising=False)
    monkeypatch.setattr(journal, "journal_directory", lambda _: tmp_path / "j")
    monkeypatch.setattr(fleet_commands, "load", lambda _: described.platform)
    return made


class _Nothing:
    def __enter__(self) -> NullLock:
        """Hold nothing."""
        return NullLock()

    def __exit__(self, *_: object) -> None:
        """Release nothing."""


def _nothing() -> _Nothing:
    return _Nothing()


def acted(tmp_path: Path) -> list[dict[str, object]]:
    """Return the journal's lines of the test."""
    return journal.Journal("unit", tmp_path / "j").lines()


def test_help_imports_no_group_and_no_engine() -> None:
    """Help must come in a third of a second; importing one engine alone costs more."""
    program = (
        "import sys; from infra.cli.main import main; main(['--help']);"
        "print([m for m in sys.modules if m in ('pydantic', 'pyinfra', 'ansible', 'rich', 'locust')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "[]"
    assert all(any(line.split()[:1] == [name] for line in lines) for name in groups.GROUPS)


@pytest.mark.parametrize("name", list(groups.GROUPS))
def test_every_group_loads_and_its_help_fits_one_screen(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A group whose import fails is found by the first person who needs it at night."""
    assert entry.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example" in text or name == "schedule"
    assert len(text.splitlines()) <= 40


@pytest.mark.parametrize(
    ("words", "hint"),
    [(["flet"], "'fleet'"), (["fleet", "drian"], "'drain'"), (["spec", "shwo"], "'show'")],
)
def test_a_wrong_word_gets_the_nearest_one_and_code_64(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typing errors are the usual bad input."""
    assert entry.main(words) == Exit.USAGE
    said = capsys.readouterr().err
    assert hint in said
    assert "next: perennial" in said


def test_a_missing_group_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A control host runs a release that may be older than the runbook somebody reads."""
    monkeypatch.setitem(groups.GROUPS, "gate", groups.Group("infra.nowhere.gate", "x"))
    assert entry.main(["gate"]) == Exit.USAGE
    assert "the group 'gate' is not in this checkout" in capsys.readouterr().err


def test_an_unexpected_error_is_one_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback hides what happened from whoever is not its author."""

    def fail() -> None:
        raise ZeroDivisionError("by zero")

    app = typer.Typer()
    app.command()(fail)
    module = ModuleType("broken")
    vars(module)["app"] = app

    monkeypatch.setitem(sys.modules, "broken", module)
    monkeypatch.setattr(groups, "exists", lambda _: True)
    monkeypatch.setitem(groups.GROUPS, "broken", groups.Group("broken", "x"))
    assert entry.main(["broken"]) == Exit.FAILED
    said = capsys.readouterr().err
    assert "ZeroDivisionError: by zero" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1


def test_a_change_without_a_person_to_ask_is_refused_with_code_4(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that forgot --yes must not act, and must not wait for an answer that never comes."""
    assert entry.main(["fleet", "drain", "app-1", "--env", "unit"]) == Exit.REFUSED
    said = capsys.readouterr().err
    assert "unit" in said
    assert "add --yes" in said
    assert world.runner.commands == []
    assert acted(tmp_path) == []


def test_a_dry_run_prints_the_plan_and_changes_nothing(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--dry-run is what people try first on a system they do not know."""
    assert entry.main(["fleet", "restart", "app", "nginx", "--dry-run", "--env", "unit"]) == 0
    assert "would restart nginx on app-1" in capsys.readouterr().err
    assert world.runner.commands == []
    assert acted(tmp_path) == []


def test_as_many_hosts_are_journaled_as_were_changed(world: World, tmp_path: Path) -> None:
    """The auditor's question: is there a line for every host that somebody changed?"""
    assert entry.main(["fleet", "restart", "app", "nginx", "--yes", "--env", "unit", "--reason", "leak"]) == 0
    assert entry.main(["fleet", "drain", "edge-1", "--yes", "--env", "unit"]) == 0
    assert entry.main(["fleet", "run", "db-*", "--yes", "--env", "unit", "--", "sync"]) == 0
    touched = {
        host for host, line in world.runner.commands if "audit" not in line and "haproxyctl" not in line
    }
    ends = [line for line in acted(tmp_path) if line["event"] == "END"]
    recorded = {host for line in ends for host in line["changed"]}  # type: ignore[attr-defined]
    assert touched == recorded == {"app-1", "app-2", "edge-1", "db-1", "db-2"}
    assert [line["reason"] for line in ends] == ["leak", "maintenance", "ad hoc command"]
    assert {line["environment"] for line in ends} == {"unit"}


def test_a_command_that_fails_on_some_hosts_ends_with_partial(world: World, tmp_path: Path) -> None:
    """Code 1 would say that nothing was done."""
    world.runner.rules.insert(0, lambda host, line, _: 7 if host == "db-2" and line == "sync" else None)
    assert entry.main(["fleet", "run", "db-*", "--yes", "--env", "unit", "--", "sync"]) == Exit.PARTIAL
    assert acted(tmp_path)[-1]["outcome"] == "partial"


def test_the_writer_in_a_restart_makes_the_outcome_partial(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The person has to do the switchover; a code of 0 would let them forget."""
    assert entry.main(["fleet", "restart", "database", "mariadb", "--yes", "--env", "unit"]) == Exit.PARTIAL
    told = capsys.readouterr().out
    assert "db-1: left as it is, switchover needed" in told
    assert "perennial fleet switchover --env unit" in told


def test_draining_the_last_member_is_refused_before_anybody_is_asked(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan that cannot be carried out should not be offered."""
    for states in world.state.values():
        states["app-2"] = "DRAIN"
    assert entry.main(["fleet", "drain", "app-1", "--env", "unit"]) == Exit.REFUSED
    assert "would leave 0 of 2" in capsys.readouterr().err


def test_a_secret_is_printed_alone_and_journaled_without_its_value(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The value goes to the person and nowhere else."""
    assert entry.main(["secret", "show", "wordpress-admin", "--env", "unit", "--reason", "first login"]) == 0
    assert capsys.readouterr().out == "planted-value\n"
    text = (tmp_path / "j" / "journal.jsonl").read_text()
    assert "planted-value" not in text
    assert "perennial secret show wordpress-admin" in text


def test_secrets_are_listed_without_values(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Lists end up in tickets."""
    assert entry.main(["secret", "list", "--env", "unit", "--json"]) == 0
    text = capsys.readouterr().out
    assert {entry["name"] for entry in json.loads(text)} >= {"wordpress-admin", "db-app-community"}
    assert "planted-value" not in text


def test_a_secret_of_the_only_site_needs_no_site_in_its_name() -> None:
    """With several sites the person must say which."""
    known = ("db-app-one", "db-app-two", "db-admin", "keys-one")
    assert secret.full_name("keys", known, ("one", "two")) == "keys-one"
    with pytest.raises(PerennialError, match="did you mean 'db-app-one'"):
        secret.full_name("db-app", known, ("one", "two"))


@pytest.mark.parametrize(
    ("answer", "goes_on"), [("y", True), ("YES", True), ("", False), ("n", False), ("ok", False)]
)
def test_only_a_clear_yes_lets_a_change_begin(
    monkeypatch: pytest.MonkeyPatch, answer: str, goes_on: bool
) -> None:
    """Enter alone is what a tired hand presses."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(common.err, "input", lambda _: answer)
    if goes_on:
        assert common.agreed("unit", ["x"], dry_run=False, yes=False)
        return
    with pytest.raises(PerennialError) as failure:
        common.agreed("unit", ["x"], dry_run=False, yes=False)
    assert failure.value.code is Exit.REFUSED


def test_the_lock_is_shown_without_its_token(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has the token can give the lock away."""
    holder = {"token": "t0ken", "owner": "a@m[1]", "age": 5.0, "reason": "r", "expires_in": 60.0}
    world.runner.rules.insert(0, lambda *_: json.dumps({"granted": True, "holder": holder}))
    assert entry.main(["fleet", "lock", "--env", "unit", "--json"]) == Exit.LOCKED
    text = capsys.readouterr().out
    assert "a@m[1]" in text
    assert "t0ken" not in text


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (SpecError([Problem("lab.yml", 3, "hosts", "no such role", "")]), 64, "no such role"),
        (FleetError("lab has no machines yet"), 64, "no machines"),
        (KeyMissingError("no passphrase"), 7, "no passphrase"),
        (PerennialError("held", code=Exit.LOCKED), 8, "held"),
        (StepFailedError("converge", 2, "", Path("log"), "make converge"), 1, "next: make converge"),
        (KeyboardInterrupt(), 130, "run the same command again"),
        (ZeroDivisionError("by zero"), 1, "ZeroDivisionError: by zero"),
    ],
)
def test_every_kind_of_failure_has_its_code_and_one_line(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make` and `perennial` share one table: a script must not need to know which of them it called."""

    def fail() -> None:
        raise error

    assert errors.outcome(fail, "make", "interrupted; run the same command again, it continues") == code
    said = capsys.readouterr().err
    assert said.startswith("make: ")
    assert words in said


@pytest.mark.parametrize(
    ("words", "hint"),
    [(["dwn"], "'down'"), (["down", "--evn", "x"], "--env"), (["up", "--env", "labb"], "'lab'")],
)
def test_a_wrong_word_for_make_is_one_line_and_code_64(words: list[str], hint: str) -> None:
    """The Makefile hands on what a person typed; a traceback there hides the typing error."""
    command = [sys.executable, "-m", "infra.make", *words]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == Exit.USAGE
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
