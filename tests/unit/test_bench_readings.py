# SPDX-License-Identifier: Apache-2.0
"""What the bench reads: wrk's summary, outputs of commands, control groups, processes, its command line."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from infra.fleet.exits import Exit, Interrupted, PerennialError
from infra.spec import load as load_platform
from loadtests.bench import __main__ as cli
from loadtests.bench import load
from loadtests.bench.catalog import ROWS, goals_of
from loadtests.bench.copy_of_checkout import add_host
from loadtests.bench.figures import BenchError, Measurement, judge
from loadtests.bench.load import Endpoint, LoadResult
from loadtests.bench.reference_host import address_in
from loadtests.bench.rows import commands
from loadtests.bench.rows.cached import compared
from loadtests.bench.rows.commands import changed_tasks, touched_resources
from loadtests.bench.rows.grow import next_host
from loadtests.bench.run import TRIAL, Run
from loadtests.bench.usage import cpu_seconds, memory
from loadtests.bench.workers import resident

if TYPE_CHECKING:
    from pathlib import Path


SUMMARY = (
    '{"requests":100,"microseconds":2000000,"bytes":7,"failed":%d,"broken":%d,"p50_us":1500,"p99_us":9000}\n'
)
PAGE = Endpoint("10.0.0.1", "site.test", "/a/")


def test_a_rate_is_answers_over_the_time_that_wrk_really_took() -> None:
    """The client overruns its duration a little; dividing by the asked time would be wrong by that."""
    result = load.parse("Running 2s test\n" + SUMMARY % (0, 0))
    assert (result.rate, result.p50_ms, result.p99_ms) == (50.0, 1.5, 9.0)


def test_an_output_without_a_summary_is_refused() -> None:
    """A crashed client must not look like a slow server."""
    with pytest.raises(BenchError, match="no summary"):
        load.parse("unable to connect\n")


@pytest.mark.parametrize(("failed", "broken"), [(1, 0), (0, 1)])
def test_a_load_with_a_single_bad_answer_is_not_valid(
    monkeypatch: pytest.MonkeyPatch, failed: int, broken: int
) -> None:
    """Errors are answered faster than pages: a broken side would win."""
    done = SimpleNamespace(returncode=0, stdout=SUMMARY % (failed, broken), stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(BenchError, match="not valid"):
        load.run(PAGE, 1)


def test_a_missing_load_generator_names_the_next_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make setup` brings it."""

    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file", "unshare")

    monkeypatch.setattr(subprocess, "run", missing)
    with pytest.raises(BenchError, match="make setup"):
        load.run(PAGE, 1)


def test_the_load_meets_the_site_under_its_own_name(tmp_path: Path) -> None:
    """The name in the URL is what SNI and Host say; 16 connections, and identity encoding on both sides."""
    words = load.command(PAGE, 4, tmp_path)
    assert words[-1] == "https://site.test/a/"
    assert {"-c16", "-d4s", "Accept-Encoding: identity"} <= set(words)


def test_both_sides_run_in_turn() -> None:
    """Drift of the machine (heat, neighbours) then meets both alike."""
    seen: list[str] = []
    result = LoadResult(1, 1.0, 1, 0, 0, 1.0, 1.0)

    def side(name: str) -> LoadResult:
        seen.append(name)
        return result

    load.alternate(lambda: side("A"), lambda: side("B"), 3)
    assert "".join(seen) == "ABABAB"


def test_a_compared_figure_is_judged_by_its_ratio() -> None:
    """Requests a second of a machine promise nothing; the ratio to the reference beside it does."""
    ours = [LoadResult(n, 1.0, 1, 0, 0, 1.0, 2.0) for n in (60, 70, 80)]
    theirs = [LoadResult(n, 1.0, 1, 0, 0, 1.0, 4.0) for n in (100, 100, 100)]
    found = compared("page", ours, theirs, ("how",))
    assert (found.value, found.measured, found.reference, found.ratio) == (
        0.7,
        "70 req/s",
        "100 req/s",
        "0.70 ×",
    )
    assert "single pairs 0.60 to 0.80" in found.notes[0]


@pytest.mark.parametrize(
    ("output", "changed"),
    [("    0 changed on 8 hosts\n", 0), ("x\n    3 changed on 8 hosts\n", 3), ("nothing said", None)],
)
def test_a_converge_that_does_not_say_what_changed_is_not_a_clean_one(
    output: str, changed: int | None
) -> None:
    """No line is no zero."""
    assert changed_tasks(output) == changed


@pytest.mark.parametrize(
    ("output", "touched"),
    [
        ("Resources:\n    39 unchanged\n", 0),
        ("Resources:\n    + 2 created\n    39 unchanged\n", 2),
        ("Resources:\n    ~ 1 updated\n    - 2 deleted\n    +-1 replaced\n    3 changes. 30 unchanged\n", 4),
        ("    + 2 created\n", 2),
        ("error: no stack", None),
    ],
)
def test_every_resource_that_pulumi_touched_counts(output: str, touched: int | None) -> None:
    """Created, updated, replaced and deleted alike; an output without a summary is no zero."""
    assert touched_resources(output) == touched


def _split(root: Path, host: str, usage: int, rss: int, shmem: int) -> None:
    for controller, name, text in (
        ("cpuacct", "cpuacct.usage", f"{usage}\n"),
        ("memory", "memory.stat", f"rss 1\ntotal_cache 999999999\ntotal_rss {rss}\ntotal_shmem {shmem}\n"),
    ):
        folder = root / controller / "perennial" / "lab" / host
        folder.mkdir(parents=True)
        (folder / name).write_text(text)


def test_usage_is_read_from_a_split_hierarchy(tmp_path: Path) -> None:
    """Nanoseconds of cpuacct; anonymous and shared memory with all groups below, not the page cache."""
    _split(tmp_path, "a", 1_500_000_000, 3 * 1024**2, 1024**2)
    _split(tmp_path, "b", 500_000_000, 0, 0)
    assert cpu_seconds("lab", ["a", "b"], tmp_path) == 2.0
    assert memory("lab", "a", tmp_path).held_mib == 4.0


def test_usage_is_read_from_a_unified_hierarchy(tmp_path: Path) -> None:
    """The same figures under their other names."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    folder = tmp_path / "perennial" / "lab" / "a"
    folder.mkdir(parents=True)
    (folder / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (folder / "memory.stat").write_text(f"anon {2 * 1024**2}\nfile 777777777\nshmem {1024**2}\n")
    assert cpu_seconds("lab", ["a"], tmp_path) == 2.5
    assert memory("lab", "a", tmp_path).held_mib == 3.0


def test_a_host_without_a_control_group_is_said_and_not_counted_as_idle(tmp_path: Path) -> None:
    """A host that is down uses nothing, and a lab with hosts down is not at rest."""
    (tmp_path / "memory").mkdir()
    with pytest.raises(BenchError, match="no control group"):
        memory("lab", "gone", tmp_path)


def test_only_workers_count_and_opcache_is_left_to_its_own_reserve(tmp_path: Path) -> None:
    """The master is no worker; shared memory is counted once for the host, not once a worker."""
    status = "Name:\tphp-fpm8.4\nVmRSS:\t  51200 kB\nRssFile:\t 10240 kB\nRssShmem:\t 20480 kB\n"
    names = {1: b"php-fpm: master process (x)\0", 2: b"php-fpm: pool perennial\0", 3: b"/usr/sbin/nginx\0"}
    for pid, name in names.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_bytes(name)
        (tmp_path / str(pid) / "status").write_text(status)
    (worker,) = resident([1, 2, 3, 4], tmp_path)
    assert (worker.resident_mib, worker.own_mib) == (50.0, 30.0)


def test_the_reference_host_sits_at_the_end_of_the_subnet() -> None:
    """Environments number their hosts from below."""
    assert address_in("10.87.0.0/24") == "10.87.0.250"
    assert address_in("10.88.4.0/22") == "10.88.7.250"


def test_one_more_host_takes_the_next_name_and_a_free_address() -> None:
    """It must collide with nothing that is there."""
    assert next_host(load_platform("lab")) == ("app-3", "10.87.0.23", "app-2")


def test_adding_a_host_changes_nothing_else_of_the_environment(tmp_path: Path) -> None:
    """The row measures one more host, not another file."""
    file = tmp_path / "x.yml"
    before = "# why\nhosts:\n  app-2: {address: 10.0.0.2, size: medium, roles: [app]}\nvolumes: {}\n"
    file.write_text(before)
    add_host(file, "app-3", "app-2", "10.0.0.3")
    after = file.read_text()
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    assert "10.0.0.3" in after


def test_an_unknown_row_gets_the_nearest_one() -> None:
    """Bad input is answered with what would have been right."""
    with pytest.raises(PerennialError, match="cached-page") as caught:
        cli.chosen(["cachd-page"])
    assert caught.value.code == Exit.USAGE
    assert cli.chosen(["rest", "converge"]) == ["rest", "converge"]
    assert cli.chosen([]) == list(ROWS)


def test_a_row_that_fails_does_not_keep_the_others_from_being_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run takes long; its other figures are wanted anyway, and the failure is a verdict of its own."""

    def broken(_: Run) -> list[Measurement]:
        raise BenchError("the reference does not boot")

    monkeypatch.setattr(
        cli, "EVERY_ROW", {"cached-page": broken, "php-worker": lambda _: [Measurement("php-worker", 30)]}
    )
    fleet: Any = SimpleNamespace()
    with ExitStack() as stack:
        found = cli.measure(Run(fleet, TRIAL, stack, lambda _: None), ["cached-page", "php-worker"])
    assert [(item.figure, item.value, item.why) for item in found] == [
        ("cached-page", None, "the reference does not boot"),
        ("php-worker", 30, ""),
    ]


def test_an_environment_that_must_last_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load to the limit and hosts that come and go are for disposable environments only."""
    lasting = SimpleNamespace(environment=SimpleNamespace(disposable=False))
    monkeypatch.setattr(cli, "load", lambda _: lasting)
    with pytest.raises(PerennialError, match="not disposable") as caught:
        cli.bench("production", [], TRIAL)
    assert caught.value.code == Exit.REFUSED


@pytest.mark.parametrize(("value", "code"), [(0.7, 0), (0.5, 11)])
def test_the_exit_code_tells_whether_every_figure_reaches_its_goal(
    monkeypatch: pytest.MonkeyPatch, value: float, code: int
) -> None:
    """11 is a regression in the one table of exit codes."""
    lines = judge(goals_of(["cached-page"]), [Measurement("cached-page", value)])
    monkeypatch.setattr(cli, "bench", lambda *_: lines)
    monkeypatch.setattr(sys, "argv", ["bench", "foundation", "--row", "cached-page", "--trial"])
    assert cli.command() == code


def test_an_interrupt_is_told_and_keeps_its_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """130, and the word that nothing is left behind; the command line's library answers interrupts itself."""

    def interrupted(*_: object) -> None:
        raise Interrupted("signal 15")

    monkeypatch.setattr(cli, "bench", interrupted)
    monkeypatch.setattr(sys, "argv", ["bench", "foundation", "--row", "rest", "--trial"])
    assert cli.command() == 130
    assert "interrupted" in capsys.readouterr().err


def test_commands_are_not_narrowed_by_an_outer_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converge that ran one area took 10.7 s and was recorded as one of everything, which takes 42 s."""
    (tmp_path / "Makefile").write_text("inner:\n\t@echo area=$(AREA)\n")
    monkeypatch.setenv("MAKEFLAGS", " -- AREA=foundation")
    monkeypatch.setenv("AREA", "foundation")
    assert commands.timed(["make", "inner"], tmp_path)[1] == "area=\n"
