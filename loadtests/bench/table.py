# SPDX-License-Identifier: Apache-2.0
"""The table a person reads, and below it how each figure was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadtests.bench.figures import Line


def table(lines: Iterable[Line]) -> Table:
    """Return the table; a figure without a measurement shows no number."""
    found = Table(header_style="bold")
    for title in ("figure", "measured", "reference", "ratio", "reach", "holds"):
        found.add_column(title, justify="left" if title == "figure" else "right")
    for line in lines:
        holds = "[green]yes[/green]" if line.holds else "[red]no[/red]"
        measured = "–" if line.found.value is None else escape(line.found.measured)
        reference = escape(line.found.reference) or "–"
        found.add_row(
            escape(line.goal.title), measured, reference, line.found.ratio, str(line.goal.reach), holds
        )
    return found


def remarks(lines: Iterable[Line]) -> list[str]:
    """Return a line of text for each note, and for each figure that could not be measured the reason."""
    told = []
    for line in lines:
        if line.found.value is None:
            told.append(f"{line.goal.figure}: not measured: {line.found.why}")
        told += [f"{line.goal.figure}: {note}" for note in line.found.notes]
    return told


def verdict(lines: Sequence[Line]) -> str:
    """Return how many figures hold, as k/n."""
    return f"{sum(line.holds for line in lines)}/{len(lines)} figures reach their goal"
