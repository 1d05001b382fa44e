# SPDX-License-Identifier: Apache-2.0
"""What a live clause of the plan still lacks: task, alert with test, runbook page, test that names it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from infra.runbook import rules
from infra.spec import CHECKOUT, Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.spec import Platform

PLAN = "inventories/platform/plan.yml"
SCHEDULE = "inventories/platform/schedule.yml"


class Repository:
    """The names that files of a checkout give: alerts, promtool tests, runbook pages, texts of tests."""

    def __init__(self, checkout: Path = CHECKOUT) -> None:
        """Look at `checkout`; files are read when first asked for."""
        self.checkout = checkout

    @cached_property
    def alerts(self) -> dict[str, str]:
        """Return alert → file of its rule."""
        found = rules.alerts(self.checkout / "alerts")
        return {name: str(alert.file.relative_to(self.checkout)) for name, alert in found.items()}

    @cached_property
    def tested_alerts(self) -> set[str]:
        """Return the alerts that a promtool test asks about."""
        return rules.under_test(self.checkout / "alerts")

    @cached_property
    def pages(self) -> dict[str, str]:
        """Return alert → runbook page."""
        folder = self.checkout / "runbooks" / "alerts"
        return {page.stem: str(page.relative_to(self.checkout)) for page in sorted(folder.glob("*.md"))}

    @cached_property
    def test_texts(self) -> str:
        """Return the texts of all tests, to search for plan ids."""
        return "\n".join(
            path.read_text("utf-8") for path in sorted((self.checkout / "tests").rglob("test_*.py"))
        )


def live_clauses(platform: Platform) -> tuple[str, ...]:
    """Return the ids of the clauses that the platform carries out, sorted."""
    return tuple(sorted(name for name, clause in platform.plan.items() if clause.state == "live"))


def coverage(platform: Platform, checkout: Path = CHECKOUT) -> list[Problem]:
    """Return every gap between the plan, the tasks, the alerts, their tests and their runbook pages."""
    repository = Repository(checkout)
    problems = [*_tasks(platform, repository), *_clauses(platform, repository), *_alerts(repository)]
    return sorted(set(problems))


def _tasks(platform: Platform, repository: Repository) -> Iterator[Problem]:
    for name, task in platform.tasks.items():
        alert = task.runbook
        key = f"tasks.{name}.runbook"
        if alert not in repository.alerts:
            yield Problem(SCHEDULE, 0, key, f"no alert named {alert!r}", nearest(alert, repository.alerts))
        if alert not in repository.pages:
            hint = nearest(alert, repository.pages)
            yield Problem(SCHEDULE, 0, key, f"no page runbooks/alerts/{alert}.md", hint)


def _clauses(platform: Platform, repository: Repository) -> Iterator[Problem]:
    for name in live_clauses(platform):
        key = f"clauses.{name}"
        tasks = [task for task in platform.tasks.values() if task.plan == name]
        if not tasks:
            yield Problem(PLAN, 0, key, "is live, but no task or control carries it out")
        for task in tasks:
            if task.runbook not in repository.tested_alerts:
                yield Problem(PLAN, 0, key, f"is live, but alert {task.runbook!r} has no promtool test")
        if name not in repository.test_texts:
            yield Problem(PLAN, 0, key, "is live, but no test names it")


def _alerts(repository: Repository) -> Iterator[Problem]:
    for alert, file in repository.alerts.items():
        if alert not in repository.pages:
            yield Problem(
                file, 0, alert, f"no page runbooks/alerts/{alert}.md", nearest(alert, repository.pages)
            )
        if alert not in repository.tested_alerts:
            yield Problem(file, 0, alert, "alert has no promtool test")
    for alert, file in repository.pages.items():
        if alert not in repository.alerts:
            yield Problem(
                file, 0, alert, "page of an alert that does not exist", nearest(alert, repository.alerts)
            )
