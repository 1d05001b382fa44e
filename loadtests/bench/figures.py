# SPDX-License-Identifier: Apache-2.0
"""Goals, measurements and verdicts: a figure that could not be measured says why and never passes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

NOT_MEASURED = "not measured in this run"


class BenchError(Exception):
    """A row cannot be measured; the message says why, and what to do where something can be done."""


@dataclass(frozen=True)
class Reach:
    """What a figure must reach: at most `limit`, or with `at_least` not less than it, in `unit`."""

    limit: float
    unit: str
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Tell whether `value` reaches the goal; the limit itself does, no number does not."""
        if math.isnan(value):
            return False
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        """Return it as people write it, as in `≤ 90 s`."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}".strip()


@dataclass(frozen=True)
class Goal:
    """One line of the table: `figure` is its name, `row` the measuring that yields it."""

    row: str
    figure: str
    title: str
    reach: Reach


@dataclass(frozen=True)
class Measurement:
    """What was found for one figure.

    `value` is judged against the reach (the ratio where there is a reference); None means that it could not
    be measured, and `why` says so. `measured` and `reference` are shown; `notes` say how it was measured, and
    `data` holds the single samples for the record.
    """

    figure: str
    value: float | None
    measured: str = ""
    reference: str = ""
    notes: tuple[str, ...] = ()
    why: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> str:
        """Return the ratio to the reference, or a dash where the figure has none."""
        return f"{self.value:.2f} ×" if self.reference and self.value is not None else "–"


@dataclass(frozen=True)
class Line:
    """A goal and what was found for it."""

    goal: Goal
    found: Measurement

    @property
    def holds(self) -> bool:
        """Tell whether the figure was measured and reaches its goal."""
        return self.found.value is not None and self.goal.reach.met(self.found.value)


def unmeasured(figure: str, why: str) -> Measurement:
    """Return the measurement of a figure that could not be had."""
    return Measurement(figure, None, why=why)


def judge(goals: Iterable[Goal], found: Iterable[Measurement]) -> list[Line]:
    """Return one line for each goal, in order; a goal that nothing was found for fails as not measured.

    Raises ValueError for a measurement that no goal asks for: a misspelt figure must not vanish.
    """
    wanted = list(goals)
    by_figure = {measurement.figure: measurement for measurement in found}
    strange = set(by_figure) - {goal.figure for goal in wanted}
    if strange:
        raise ValueError(f"no goal is named {', '.join(sorted(strange))}")
    return [Line(goal, by_figure.get(goal.figure, unmeasured(goal.figure, NOT_MEASURED))) for goal in wanted]
