# SPDX-License-Identifier: Apache-2.0
"""What a run of a scheduled task leaves behind: metrics, the report of its day, audit lines."""

from __future__ import annotations

import json
import os
import syslog
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT_DAYS = 400
SHOWN_FAILURES = 20
RELEASE_FILE = Path("/etc/perennial/release")


@dataclass(frozen=True)
class Task:
    """What the runner needs to know; written by the role `schedule`, one file a unit."""

    id: str
    unit: str
    plan: str
    site: str
    title: str
    owner: str
    environment: str
    host: str
    user: str
    command: list[str]
    deadline_seconds: float
    period_seconds: int
    state_directory: str
    reports_directory: str

    @property
    def state(self) -> Path:
        """Return the directory of this unit's state, metrics and lock."""
        return Path(self.state_directory)


@dataclass(frozen=True)
class Run:
    """One finished run; `started` is UTC, `seconds` is wall time, `reason` is empty after a success."""

    started: datetime
    seconds: float
    ok: bool
    reason: str
    items: dict[str, float]
    tail: str
    samples: list[dict[str, Any]] = field(default_factory=list)


def write(path: Path, text: str) -> None:
    """Replace `path` as a whole, readable by everybody: readers see the old text or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, "utf-8")
    temporary.chmod(0o644)
    temporary.replace(path)


def load_json(path: Path) -> dict[str, Any]:
    """Return the object in `path`, or an empty one where it is missing or was cut off by a full disk."""
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found


def audit(task: Task, act: str, event: str, **outcome: object) -> None:
    """Write one audit line of the form `audit/1` to the journal under the tag `perennial-audit`.

    `act` is the same for START and END of one run.
    """
    commit = RELEASE_FILE.read_text("utf-8").strip() if RELEASE_FILE.exists() else ""
    line = {
        "schema": "audit/1",
        "event": event,
        "id": act,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "person": f"{task.user}@{task.host}",
        "environment": task.environment,
        "command": f"{task.unit}.service",
        "reason": f"schedule, {task.plan}: {task.title}",
        "hosts": [task.host],
        "commit": commit,
        **outcome,
    }
    syslog.openlog("perennial-audit", 0, syslog.LOG_USER)
    syslog.syslog(syslog.LOG_NOTICE, json.dumps(line, ensure_ascii=False))


def updated(state: dict[str, Any], run: Run) -> dict[str, Any]:
    """Return the state after `run`; a success is kept over failed runs, samples over runs without."""
    finished = run.started.timestamp() + run.seconds
    after = state | {"run": finished, "ok": run.ok, "seconds": run.seconds, "items": run.items}
    after |= {"samples": run.samples} if run.samples else {}
    return after | ({"success": finished} if run.ok else {})


def metrics(task: Task, state: dict[str, Any]) -> str:
    """Return Prometheus' text format; what never happened has no sample, so that alerts can tell."""
    labels = f'task="{task.id}",plan="{task.plan}",site="{task.site}"'
    samples: list[tuple[str, str, str, float]] = [
        ("period_seconds", "How often the task should run.", labels, task.period_seconds)
    ]
    if "run" in state:
        samples += [
            ("last_run_timestamp_seconds", "End of the last run.", labels, state["run"]),
            ("last_run_ok", "1 when the last run succeeded.", labels, int(state["ok"])),
            ("duration_seconds", "How long the last run took.", labels, state["seconds"]),
        ]
    if "success" in state:
        samples.append(("last_success_timestamp_seconds", "Its last success.", labels, state["success"]))
    for outcome, count in sorted(state.get("items", {}).items()):
        samples.append(
            ("items", "What the last run handled.", f'{labels},outcome="{escaped(outcome)}"', count)
        )
    full = [(f"perennial_task_{name}", text, given, value) for name, text, given, value in samples]
    return "".join(exposition([*full, *own_samples(state)]))


def own_samples(state: dict[str, Any]) -> Iterator[tuple[str, str, str, float]]:
    """Yield what the task itself measured in its last run that said anything, as exposition takes it."""
    for one in sorted(state.get("samples", []), key=lambda one: str(one["name"])):
        labels = ",".join(f'{name}="{escaped(value)}"' for name, value in one["labels"].items())
        yield one["name"], one["help"], labels, one["value"]


def escaped(text: str) -> str:
    """Return `text` as the value of a label."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def exposition(samples: list[tuple[str, str, str, float]]) -> Iterator[str]:
    """Yield the lines of `samples`: name, help, labels, value; the samples of one metric stand together."""
    described = ""
    for full, text, labels, value in samples:
        if full != described:
            yield f"# HELP {full} {text}\n# TYPE {full} gauge\n"
            described = full
        yield f"{full}{{{labels}}} {value:.17g}\n"


def report(task: Task, run: Run) -> None:
    """Add `run` to the report of its day, and remove reports older than REPORT_DAYS."""
    directory = Path(task.reports_directory)
    name = f"{run.started:%Y-%m-%d}" + (f"-{task.site}" if task.site else "")
    day = load_json(directory / f"{name}.json")
    failures = day.get("failures", [])
    entry = {"started": run.started.isoformat(timespec="seconds"), "seconds": round(run.seconds, 3)}
    if not run.ok:
        failures = [*failures, entry | {"reason": run.reason, "output": run.tail[-2000:]}][-SHOWN_FAILURES:]
    day = {
        "task": task.id, "plan": task.plan, "title": task.title, "owner": task.owner, "site": task.site,
        "environment": task.environment, "host": task.host, "date": f"{run.started:%Y-%m-%d}",
        "runs": day.get("runs", 0) + 1, "failed": day.get("failed", 0) + (not run.ok),
        "last": entry | {"ok": run.ok, "reason": run.reason, "items": run.items, "output": run.tail[-4000:]},
        "failures": failures,
    }  # fmt: skip
    write(directory / f"{name}.json", json.dumps(day, ensure_ascii=False, indent=1) + "\n")
    write(directory / f"{name}.md", markdown(day))
    oldest = f"{run.started - timedelta(days=REPORT_DAYS):%Y-%m-%d}"
    for path in directory.glob("????-??-??*"):
        if path.name < oldest:
            path.unlink()


def markdown(day: dict[str, Any]) -> str:
    """Return the report of a day for people."""
    last = day["last"]
    outcome = "ok" if last["ok"] else f"failed: {last['reason']}"
    lines = [
        f"# {day['title']}", "",
        (f"{day['task']} on {day['host']} ({day['environment']}), {day['date']} UTC, "
        f"plan clause {day['plan']}, owner {day['owner']}."), "",
        f"- runs: {day['runs']}, failed: {day['failed']}",
        f"- last run: {last['started']}, {last['seconds']} s, {outcome}",
        *[f"- {name}: {count:g}" for name, count in sorted(last["items"].items())],
    ]  # fmt: skip
    for failure in day["failures"]:
        lines += ["", f"## Failed at {failure['started']}: {failure['reason']}"]
        lines += ["", "```", failure["output"], "```"]
    return "\n".join(lines) + "\n"
