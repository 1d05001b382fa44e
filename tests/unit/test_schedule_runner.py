# SPDX-License-Identifier: Apache-2.0
"""The runner of scheduled tasks: whatever happens to a run, its evidence is right."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

FILES = Path(__file__).resolve().parents[2] / "roles" / "schedule" / "files"
RUNNER = FILES / "task_runner.py"


@pytest.fixture(name="describe")
def fixture_describe(tmp_path: Path) -> Any:
    """Return a function that writes a task description and returns its path."""
    (tmp_path / "state").mkdir()
    (tmp_path / "reports").mkdir()

    def describe(*command: str, deadline: float = 10, site: str = "") -> Path:
        task = {
            "id": "sample", "unit": "perennial-sample", "plan": "tech.tools", "site": site,
            "title": "a sample", "owner": "platform", "environment": "lab", "host": "ctl-1", "user": "root",
            "command": list(command),
            "deadline_seconds": deadline, "period_seconds": 3600, "state_directory": str(tmp_path / "state"),
            "reports_directory": str(tmp_path / "reports"),
        }  # fmt: skip
        path = tmp_path / "task.json"
        path.write_text(json.dumps(task))
        return path

    return describe


def run(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the runner as its unit does."""
    command = [sys.executable, "-sE", str(RUNNER), "--task", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def samples(path: Path) -> dict[str, float]:
    """Return metric name and further labels → value of what the runner left."""
    found = {}
    for line in (path.parent / "state" / "metrics.prom").read_text().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            short = name.replace('task="sample",plan="tech.tools",site=""', "").removeprefix(
                "perennial_task_"
            )
            found[short] = float(value)
    return found


def day(path: Path) -> dict[str, Any]:
    """Return today's report."""
    (report,) = (path.parent / "reports").glob("*.json")
    loaded: dict[str, Any] = json.loads(report.read_text())
    return loaded


def test_a_task_that_never_ran_is_visible_from_its_installation_on(describe: Any) -> None:
    """Without the period there is nothing that an alert on "never ran" could start from."""
    path = describe("/bin/true")
    assert run(path, "--register").returncode == 0
    assert samples(path) == {"period_seconds{}": 3600}


def test_a_success_is_counted_with_its_items(describe: Any) -> None:
    """The last line of JSON is how a task says how much it did."""
    path = describe("/bin/sh", "-c", 'echo working; echo \'{"items": {"hosts": 8, "changed": 0}}\'')
    before = time.time()
    assert run(path).returncode == 0
    found = samples(path)
    assert found["last_run_ok{}"] == 1
    assert found['items{,outcome="hosts"}'] == 8
    assert found['items{,outcome="changed"}'] == 0
    assert before <= found["last_success_timestamp_seconds{}"] <= time.time()
    assert day(path)["last"]["items"] == {"hosts": 8, "changed": 0}


def gauge(name: str, **other: Any) -> dict[str, Any]:
    """Return a sample as a task prints it."""
    return {"name": name, "help": "A gauge.", "labels": {"step": 'log "in"'}, "value": 1} | other


def said(*found: Any) -> str:
    """Return the last line of a task that brings `found`."""
    return json.dumps({"items": {"seen": 2}, "samples": found})


def test_a_task_may_bring_gauges_of_its_own(describe: Any) -> None:
    """They stay over a run that says nothing: a series that comes and goes makes an alert that does."""
    path = describe("/usr/bin/printf", "%s\\n", "done by hand", said(gauge("perennial_sample_failed")))
    assert run(path).returncode == 0
    assert day(path)["last"]["output"] == "done by hand\n", "the line for the runner is not for people"
    path = describe("/bin/false")
    assert run(path).returncode == 1
    text = (path.parent / "state" / "metrics.prom").read_text()
    assert "# HELP perennial_sample_failed A gauge.\n# TYPE perennial_sample_failed gauge\n" in text
    assert 'perennial_sample_failed{step="log \\"in\\""} 1\n' in text


@pytest.mark.parametrize(
    "bad",
    [
        gauge("perennial_task_last_run_ok"),
        gauge("node_load1"),
        gauge("perennial_sample_failed", labels={"no label": "x"}),
        gauge("perennial_sample_failed", value="many"),
        {"name": "perennial_sample_failed"},
        1,
    ],
)
def test_a_gauge_that_is_none_of_ours_is_left_out(describe: Any, bad: Any) -> None:
    """One bad line would make node_exporter refuse the file, and with it that the task ran at all."""
    path = describe("/bin/echo", said(gauge("perennial_sample_good"), bad))
    assert run(path).returncode == 0
    assert samples(path)['items{,outcome="seen"}'] == 2
    assert "sample_" not in (path.parent / "state" / "metrics.prom").read_text()


def test_a_failure_keeps_the_last_success(describe: Any) -> None:
    """A broken task must not look as if it never worked: "late" counts from the last success."""
    path = describe("/bin/true")
    run(path)
    success = samples(path)["last_success_timestamp_seconds{}"]
    path = describe("/bin/sh", "-c", "echo why >&2; exit 3")
    assert run(path).returncode == 1
    found = samples(path)
    assert found["last_run_ok{}"] == 0
    assert found["last_success_timestamp_seconds{}"] == success
    assert found["last_run_timestamp_seconds{}"] > success
    report = day(path)
    assert (report["runs"], report["failed"]) == (2, 1)
    assert report["failures"][0]["reason"] == "exit code 3"
    assert "why" in report["failures"][0]["output"]


def test_the_deadline_ends_the_command_and_its_children(describe: Any, tmp_path: Path) -> None:
    """A child left over would hold locks and connections after its task is reported as ended."""
    child = f"trap '' TERM; sleep 30 & echo $! > {tmp_path}/child; wait"
    path = describe("/bin/sh", "-c", child, deadline=0.5)
    started = time.monotonic()
    assert run(path).returncode == 1
    assert time.monotonic() - started < 20
    assert day(path)["last"]["reason"] == "deadline of 0.5 s passed"
    stat = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    assert not stat.exists() or " Z " in stat.read_text()


def test_two_runs_at_once_are_refused(describe: Any) -> None:
    """A person who starts a task by hand must not meet the timer's run."""
    path = describe("/bin/sleep", "3")
    command = [sys.executable, "-sE", str(RUNNER), "--task", str(path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as first:
        time.sleep(1)
        second = run(path)
        assert second.returncode == 8
        assert "another run is not finished" in second.stderr
        assert first.wait() == 0
    assert day(path)["runs"] == 1


def test_an_interrupted_run_is_recorded_as_failed(describe: Any, tmp_path: Path) -> None:
    """A shutdown in the middle must not leave the last run's success standing."""
    path = describe("/bin/sh", "-c", f"echo x > {tmp_path}/started; sleep 30")
    command = [sys.executable, "-sE", str(RUNNER), "--task", str(path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as runner:
        while not (tmp_path / "started").exists():
            time.sleep(0.05)
        runner.terminate()
        assert runner.wait() == 1
    assert day(path)["last"]["reason"] == "interrupted"


def test_an_order_to_stop_waits_until_there_is_a_command_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised while the command was being started, it left a command that nobody ended and no record."""
    monkeypatch.syspath_prepend(str(FILES))
    runner = importlib.import_module("task_runner")
    order = runner.Order()
    order.arrive(15, None)
    with pytest.raises(runner.RunInterruptedError), order.obeyed():
        pytest.fail("the block ran")
    order.arrive(15, None)  # the run is being recorded


def test_a_missing_program_is_a_failed_run(describe: Any) -> None:
    """A package removed by mistake has to raise the alert of the task."""
    path = describe("/nonexistent/program")
    assert run(path).returncode == 1
    assert samples(path)["last_run_ok{}"] == 0
    assert "cannot start /nonexistent/program" in day(path)["last"]["reason"]


def test_a_state_cut_off_by_a_full_disk_is_survived(describe: Any) -> None:
    """The runner is what tells about a full disk; it must not die of its traces."""
    path = describe("/bin/true")
    (path.parent / "state" / "state.json").write_text('{"run": 1')
    assert run(path).returncode == 0
    assert samples(path)["last_run_ok{}"] == 1


def test_a_bad_description_names_file_and_next_command(tmp_path: Path) -> None:
    """A usage error is not a traceback."""
    path = tmp_path / "task.json"
    path.write_text("{}")
    result = run(path)
    assert result.returncode == 64
    assert str(path) in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture(name="evidence")
def fixture_evidence(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module task_evidence, imported as on a host."""
    monkeypatch.syspath_prepend(str(FILES))
    return importlib.import_module("task_evidence")


def test_reports_older_than_the_retention_are_removed(evidence: Any, tmp_path: Path) -> None:
    """A report a day for years must not fill the disk, and a year of reports must remain."""
    task = evidence.Task(
        **dict.fromkeys(("id", "unit", "plan", "site", "title", "owner", "environment", "host", "user"), ""),
        command=[], deadline_seconds=1, period_seconds=60, state_directory="",
        reports_directory=str(tmp_path),
    )  # fmt: skip
    for name in ("2020-01-01.json", "2020-01-01.md", "2026-01-01.json", "kept.txt"):
        (tmp_path / name).write_text("{}")
    moment = evidence.datetime(2026, 11, 22, tzinfo=evidence.UTC)
    evidence.report(task, evidence.Run(moment, 1.0, ok=True, reason="", items={}, tail=""))
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["2026-01-01.json", "2026-11-22.json", "2026-11-22.md", "kept.txt"]


def test_a_label_with_quotes_stays_readable_for_prometheus(evidence: Any) -> None:
    """One bad label value would hide all textfile metrics of the host."""
    task = evidence.Task(
        **dict.fromkeys(("id", "unit", "plan", "site", "title", "owner", "environment", "host", "user"), "x"),
        command=[], deadline_seconds=1, period_seconds=60, state_directory="", reports_directory="",
    )  # fmt: skip
    assert asdict(task)["id"] == "x"
    text = evidence.metrics(task, {"items": {'a"b\n\\': 1.0}})
    assert '{task="x",plan="x",site="x",outcome="a\\"b\\n\\\\"} 1' in text
