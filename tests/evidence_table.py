# SPDX-License-Identifier: Apache-2.0
"""The README's evidence table, generated from tests/evidence: `python -m tests.evidence_table` rewrites it.

A figure keeps the commit and day of the run that measured it; one that was not measured says so.
"""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Any

from alerts.drill import case as cases
from alerts.drill import result as results
from infra.spec import CHECKOUT
from loadtests.bench.statistics import lower_bound

if TYPE_CHECKING:
    from pathlib import Path

README = CHECKOUT / "README.md"
FOLDER = CHECKOUT / "tests" / "evidence"
BEGIN = "<!-- generated from tests/evidence by: python -m tests.evidence_table -->"
DRILL = "`make drill AREA=alerts`"
END = "<!-- end of the generated table -->"
HEAD = "| claim | command | reach | result | holds | commit | date |\n|---|---|---|---|---|---|---|\n"


def _row(area: str, figure: dict[str, Any]) -> str:
    result = figure["measured"] or "not measured: " + figure["why"]
    if figure["reference"]:
        result = f"{figure['value']:.2f} ({figure['measured']} against {figure['reference']})"
    holds = "yes" if figure["holds"] else "no"
    command = f"`make bench AREA={area}`"
    when = [figure["commit"][:9], figure["time"][:10]]
    return _line([figure["title"], command, figure["reach"], result, holds, *when])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |\n"


def table(folder: Path = FOLDER) -> str:
    """Return the table of every recorded bench figure, oldest area first, then of roles and drills."""
    records = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("bench-*.json"))]
    rows = [_row(record["area"], figure) for record in records for figure in record["figures"]]
    return HEAD + "".join([*rows, *_molecule(folder), *_drills(folder), *_clean(folder)])


def _molecule(folder: Path) -> list[str]:
    path = folder / "molecule.json"
    if not path.exists():
        return []
    roles = json.loads(path.read_text("utf-8"))["roles"]
    last = max(roles.values(), key=lambda one: one["time"])
    claim = "roles alone: check, converge, idempotence, verify"
    cells = [claim, "`make drill AREA=roles`", "all", f"{len(roles)} roles passed", "yes"]
    return [_line([*cells, last["commit"][:9], last["time"][:10]])]


def _drills(folder: Path) -> list[str]:
    """Return the rows of the last drill of each fault: seen by its alert, and mended by its page."""
    path = folder / "drills.json"
    if not path.exists():
        return []
    recorded = json.loads(path.read_text("utf-8"))["faults"]
    ones = [
        (f"{case.alert}/{fault.name}", results.key(case, fault))
        for case in cases.every()
        for fault in case.faults
    ]
    # What was shown of another rule, page or fault counts no more.
    faults = {name: recorded[name] for name, key in ones if recorded.get(name, {}).get("key") == key}
    every = len(ones)
    if not faults:
        return []
    last = max(faults.values(), key=lambda one: one["time"])
    when = [last["commit"][:9], last["time"][:10]]
    found = []
    for claim, key in (
        ("faults seen by their own alert", "detected"),
        ("… and mended by its page", "mended"),
    ):
        good, tried = sum(one["result"][key] for one in faults.values()), len(faults)
        result = f"{good}/{tried} drilled of {every} (one-sided 95 % bound {lower_bound(good, tried):.2f})"
        holds = "yes" if good == tried == every else "no"
        found.append(_line([claim, DRILL, "all", result, holds, *when]))
    return [*found, *_times([one["result"] for one in faults.values()], when)]


def _times(drills: list[dict[str, Any]], when: list[str]) -> list[str]:
    """Return the rows about time and about what people were told, of the last drill of each fault."""
    seen = [one for one in drills if one["detected"]]
    late = max((one["detect"] - one["floor"] for one in seen), default=0.0)
    repairs = sorted(one["repair"] for one in drills if one["repair"] is not None)
    told = [(one["pages"], one["tickets"]) for one in seen if one.get("pages") is not None]
    pages, tickets = (max(column, default=0) for column in zip(*told, strict=True)) if told else (0, 0)
    beside = sum(bool(one["unexpected"]) for one in drills)
    middle = f"{median(repairs):.0f} s, worst {repairs[-1]:.0f} s" if repairs else "none"
    many = "yes" if told and pages <= 1 and tickets <= 3 else "no"
    counted = f"{pages} and {tickets} (of {len(told)} drills)"
    rows = [
        ("alert after its computed floor, worst", "≤ 15 s", f"{late:+.0f} s", "yes" if late <= 15 else "no"),
        ("mended after the fault began, median", "told", middle, "–"),
        ("pages and tickets told of per fault, worst", "≤ 1, ≤ 3", counted, many),
        ("drills with an alert that nobody expected", "0", str(beside), "no" if beside else "yes"),
    ]  # fmt: skip
    return [_line([claim, DRILL, reach, result, holds, *when]) for claim, reach, result, holds in rows]


def _clean(folder: Path) -> list[str]:
    """Return the row of the last run under load without a fault."""
    path = folder / "clean-run.json"
    if not path.exists():
        return []
    run = json.loads(path.read_text("utf-8"))
    claim = f"{run['minutes']} min of load, a reload, a drain, a switchover: alerts besides Watchdog"
    result = f"{len(run['alerts'])} ({run['failed']} of {run['requests']} requests failed)"
    holds = "no" if run["alerts"] or run["failed"] else "yes"
    cells = [claim, "`make drill AREA=clean`", "0", result, holds, run["commit"][:9], run["time"][:10]]
    return [_line(cells)]


def updated(text: str, rows: str) -> str:
    """Return the README's text with its table replaced; raise ValueError where its marks are missing."""
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{rows}{END}{after}"


if __name__ == "__main__":
    README.write_text(updated(README.read_text("utf-8"), table()), encoding="utf-8")
