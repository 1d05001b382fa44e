# SPDX-License-Identifier: Apache-2.0
"""The record of a run: JSON with commit, UTC time and the machine's size; nothing in it names the machine."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from infra.spec import CHECKOUT
from loadtests.bench.figures import Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadtests.bench.run import Counts

SCHEMA = "bench/1"
FOLDER = CHECKOUT / "tests" / "evidence"
GIB = 1024**3
# Files that a run writes itself say nothing about what was measured.
UNRELATED = ":(exclude)tests/evidence"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(CHECKOUT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def circumstances(counts: Counts) -> dict[str, Any]:
    """Return what a reader must know of a run: commit, time, machine, counts."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--", ".", UNRELATED)),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
            "load_before": round(os.getloadavg()[0], 2),
        },
        "counts": {
            "rounds": counts.rounds,
            "seconds": counts.seconds,
            "samples": counts.samples,
            "quiet_seconds": counts.quiet,
        },
    }


def as_record(line: Line, about: dict[str, Any]) -> dict[str, Any]:
    """Return one figure for the record."""
    found, reach = line.found, line.goal.reach
    return {
        "figure": line.goal.figure,
        "row": line.goal.row,
        "title": line.goal.title,
        "reach": str(reach),
        "value": None if found.value is None else round(found.value, 4),
        "measured": found.measured,
        "reference": found.reference,
        "holds": line.holds,
        "why": found.why,
        "notes": list(found.notes),
        "data": found.data,
        **about,
    }


def document(area: str, lines: Iterable[Line], about: dict[str, Any]) -> dict[str, Any]:
    """Return the whole record of a run."""
    return {"schema": SCHEMA, "area": area, "figures": [as_record(line, about) for line in lines]}


def merged(old: dict[str, Any], new: dict[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """Return `old` with the figures of `new` in it; each figure keeps the commit and time of its own run."""
    figures = {item["figure"]: item for item in [*old.get("figures", []), *new["figures"]]}
    return {**new, "figures": [figures[name] for name in order if name in figures]}


def write(area: str, new: dict[str, Any], order: Sequence[str], folder: Path = FOLDER) -> Path:
    """Write the record `bench-<area>.json`; figures that this run did not ask for stay. Return the file."""
    path = folder / f"bench-{area}.json"
    folder.mkdir(parents=True, exist_ok=True)
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    text = json.dumps(merged(old, new, order), indent=1, ensure_ascii=False)
    temporary = path.with_suffix(".part")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)
    return path
