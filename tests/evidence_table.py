# SPDX-License-Identifier: Apache-2.0
"""The README's evidence table, generated from tests/evidence: `python -m tests.evidence_table` rewrites it.

A figure keeps the commit and day of the run that measured it; one that was not measured says so.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra.spec import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

README = CHECKOUT / "README.md"
FOLDER = CHECKOUT / "tests" / "evidence"
BEGIN = "<!-- generated from tests/evidence by: python -m tests.evidence_table -->"
END = "<!-- end of the generated table -->"
HEAD = "| claim | command | reach | result | holds | commit | date |\n|---|---|---|---|---|---|---|\n"


def _row(area: str, figure: dict[str, Any]) -> str:
    result = figure["measured"] or "not measured: " + figure["why"]
    if figure["reference"]:
        result = f"{figure['value']:.2f} ({figure['measured']} against {figure['reference']})"
    holds = "yes" if figure["holds"] else "no"
    command = f"`make bench AREA={area}`"
    when = [figure["commit"][:9], figure["time"][:10]]
    cells = [figure["title"], command, figure["reach"], result, holds, *when]
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |\n"


def table(folder: Path = FOLDER) -> str:
    """Return the table of every recorded bench figure, oldest area first."""
    records = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("bench-*.json"))]
    rows = [_row(record["area"], figure) for record in records for figure in record["figures"]]
    return HEAD + "".join(rows)


def updated(text: str, rows: str) -> str:
    """Return the README's text with its table replaced; raise ValueError where its marks are missing."""
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{rows}{END}{after}"


if __name__ == "__main__":
    README.write_text(updated(README.read_text("utf-8"), table()), encoding="utf-8")
