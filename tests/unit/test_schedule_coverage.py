# SPDX-License-Identifier: Apache-2.0
"""Coverage of the plan: each gap is seen, and a clause without gaps is not accused."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from infra.schedule import coverage
from infra.spec import Platform, load

if TYPE_CHECKING:
    from pathlib import Path

RULES = "groups:\n  - name: tasks\n    rules:\n      - alert: {}\n        expr: 1\n"
FILES = {
    "alerts/tasks.rules.yml": RULES.format("TaskFailed"),
    "alerts/tasks_test.yml": "tests:\n  - alert_rule_test:\n      - alertname: TaskFailed\n",
    "runbooks/alerts/TaskFailed.md": "# TaskFailed\n",
    "tests/unit/test_x.py": '"""content.publish is carried out."""\n',
}


@pytest.fixture(name="checkout")
def fixture_checkout(tmp_path: Path) -> Path:
    """Return a checkout in which nothing is missing."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def with_live(*names: str) -> Platform:
    """Return the lab with exactly these clauses live, and the tasks whose page FILES has."""
    platform = load("lab")
    plan = {
        name: clause.model_copy(update={"state": "live" if name in names else "planned"})
        for name, clause in platform.plan.items()
    }
    tasks = {name: task for name, task in platform.tasks.items() if task.runbook == "TaskFailed"}
    return replace(platform, plan=MappingProxyType(plan), tasks=MappingProxyType(tasks))


def test_a_complete_clause_has_no_gap(checkout: Path) -> None:
    """The positive control: otherwise every clause would be red for a reason of the check's own."""
    assert coverage(with_live("content.publish"), checkout) == []


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("alerts/tasks.rules.yml", None, "no alert named 'TaskFailed'"),
        ("alerts/tasks_test.yml", None, "has no promtool test"),
        ("runbooks/alerts/TaskFailed.md", None, "no page runbooks/alerts/TaskFailed.md"),
        ("tests/unit/test_x.py", "", "no test names it"),
        ("runbooks/alerts/Gone.md", "# Gone", "page of an alert that does not exist"),
        ("alerts/more.rules.yml", RULES.format("Unknown"), "no page runbooks/alerts/Unknown.md"),
    ],
)
def test_each_missing_part_is_named(checkout: Path, file: str, text: str | None, message: str) -> None:
    """A live clause lacking any part is red."""
    if text is None:
        (checkout / file).unlink()
    else:
        (checkout / file).write_text(text)
    problems = [str(problem) for problem in coverage(with_live("content.publish"), checkout)]
    assert any(message in problem for problem in problems), problems


def test_a_live_clause_without_task_is_red(checkout: Path) -> None:
    """Saying so in plan.yml carries nothing out."""
    problems = [str(problem) for problem in coverage(with_live("legal.privacy"), checkout)]
    assert any("clauses.legal.privacy: is live, but no task or control" in problem for problem in problems)
