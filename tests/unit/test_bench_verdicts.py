# SPDX-License-Identifier: Apache-2.0
"""Goals, verdicts, table and record of the bench: nothing that was not measured ever passes."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from infra.spec import CHECKOUT
from loadtests.bench import evidence, table
from loadtests.bench.catalog import GOALS, ROWS, goals_of
from loadtests.bench.figures import NOT_MEASURED, Goal, Line, Measurement, Reach, judge, unmeasured
from loadtests.bench.run import Counts

if TYPE_CHECKING:
    from pathlib import Path

AT_LEAST = Goal("page", "page", "a page", Reach(0.6, "×", at_least=True))
AT_MOST = Goal("time", "time", "a time", Reach(90, "s"))


@pytest.mark.parametrize(
    ("goal", "value", "holds"),
    [
        (AT_LEAST, 0.6, True),
        (AT_LEAST, 0.59, False),
        (AT_LEAST, 5.0, True),
        (AT_MOST, 90.0, True),
        (AT_MOST, 90.1, False),
        (AT_MOST, 0.0, True),
        (AT_MOST, float("nan"), False),
        (AT_LEAST, float("nan"), False),
    ],
)
def test_a_goal_holds_up_to_its_limit_in_its_own_direction(goal: Goal, value: float, holds: bool) -> None:
    """A ratio must not fall below its limit, a time must not rise above it; no number is neither."""
    (line,) = judge([goal], [Measurement(goal.figure, value)])
    assert line.holds is holds


def test_a_figure_that_nobody_measured_fails() -> None:
    """A row that ended early must not leave a table of passes behind."""
    lines = judge([AT_LEAST, AT_MOST], [Measurement("time", 1.0)])
    assert [line.holds for line in lines] == [False, True]
    assert lines[0].found.why == NOT_MEASURED


def test_a_figure_that_could_not_be_measured_fails_and_says_why() -> None:
    """An unreachable reference is no reason to pass."""
    (line,) = judge([AT_MOST], [unmeasured("time", "the host is gone")])
    assert not line.holds
    assert table.remarks([line]) == ["time: not measured: the host is gone"]


def test_a_measurement_that_no_goal_asks_for_is_an_error() -> None:
    """A misspelt figure would otherwise vanish, and its goal fail for a reason that nobody finds."""
    with pytest.raises(ValueError, match="tiem"):
        judge([AT_MOST], [Measurement("tiem", 1.0)])


def test_every_goal_has_a_row_and_every_row_a_goal() -> None:
    """A row without a goal would be measured for nothing, a goal without a row could never hold."""
    assert {goal.row for goal in GOALS} == set(ROWS)
    assert len({goal.figure for goal in GOALS}) == len(GOALS)
    assert goals_of(["rest"]) == [goal for goal in GOALS if goal.row == "rest"]


def test_the_goals_are_those_of_the_issue() -> None:
    """Whoever moves a goal moves it here as well, on purpose."""
    reaches = {goal.figure: str(goal.reach) for goal in GOALS}
    assert reaches == {
        "rest-memory": "≤ 3 GiB",
        "rest-cpu": "≤ 0.2 core",
        "pulumi-up": "≤ 10 s",
        "pulumi-up-touched": "≤ 0",
        "converge": "≤ 90 s",
        "converge-changed": "≤ 0",
        "make-up": "≤ 120 s",
        "make-up-changed": "≤ 0",
        "make-up-touched": "≤ 0",
        "takedown": "≤ 10 s",
        "cached-page": "≥ 0.6 ×",
        "uncached-page": "≥ 2.5 ×",
        "php-worker": "≤ 56 MiB",
        "one-more-app": "≤ 90 s",
    }


def _shown(lines: list[Line]) -> str:
    console = Console(width=140, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as captured:
        console.print(table.table(lines))
    return captured.get()


def test_the_table_shows_both_sides_their_ratio_and_the_verdict() -> None:
    """People compare the four at one glance."""
    found = Measurement("page", 0.75, "4200 req/s", "5600 req/s")
    text = _shown(judge([AT_LEAST, AT_MOST], [found, Measurement("time", 91, "91.0 s")]))
    page, time = (next(line for line in text.splitlines() if title in line) for title in ("a page", "a time"))
    assert all(part in page for part in ("4200 req/s", "5600 req/s", "0.75 ×", "≥ 0.6 ×", "yes"))
    assert all(part in time for part in ("91.0 s", "≤ 90 s", "no"))
    assert "×" not in time, "a time has no ratio"


def test_the_table_shows_no_number_for_what_was_not_measured() -> None:
    """A left-over number beside a failure would be quoted one day."""
    broken = Measurement("time", None, "12 s", why="it broke off")
    row = next(line for line in _shown(judge([AT_MOST], [broken])).splitlines() if "a time" in line)
    assert not any(digit in row.replace("≤ 90 s", "") for digit in "0123456789")
    assert table.verdict(judge([AT_MOST], [])) == "0/1 figures reach their goal"


def test_the_record_has_commit_time_and_machine_and_names_no_machine() -> None:
    """Evidence is published: it says how big the machine was, not which one or where its files lie."""
    about = evidence.circumstances(Counts())
    lines = judge([AT_MOST], [Measurement("time", 1.23456789, "1.2 s", data={"seconds": [1.2]})])
    record = evidence.document("foundation", lines, about)
    (figure,) = record["figures"]
    assert len(figure["commit"]) == 40
    assert figure["time"].endswith("Z")
    assert figure["machine"]["cores"] >= 1
    assert (figure["value"], figure["holds"]) == (1.2346, True)
    text = json.dumps(record)
    assert socket.gethostname() not in text
    assert str(CHECKOUT) not in text


def test_a_run_of_one_row_keeps_the_other_figures_of_the_record(tmp_path: Path) -> None:
    """Each figure carries the commit and time of its own run, so that a partial run hides nothing."""
    order = ["page", "time"]
    whole = judge([AT_LEAST, AT_MOST], [Measurement("page", 0.7), Measurement("time", 99)])
    evidence.write("x", evidence.document("x", whole, {"commit": "old"}), order, tmp_path)
    part = judge([AT_MOST], [Measurement("time", 80)])
    path = evidence.write("x", evidence.document("x", part, {"commit": "new"}), order, tmp_path)
    figures = json.loads(path.read_text("utf-8"))["figures"]
    assert [(item["figure"], item["commit"], item["holds"]) for item in figures] == [
        ("page", "old", True),
        ("time", "new", True),
    ]
    assert [item.name for item in tmp_path.iterdir()] == ["bench-x.json"]
