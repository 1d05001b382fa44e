# SPDX-License-Identifier: Apache-2.0
"""What every alert rule carries, and which four promtool tests it has; each gap is a line.

severity  page: visitors are hurt now, or the last redundancy or data is about to be lost; ticket: in work
          hours; none: nobody is told.
kind      symptom (visitors notice), cause (explains one), duty (a clause of the plan is late), meta.
maturity  trial until its drill has passed; trial never pages.

A promtool test belongs to an alert and one of four sides by its name, as in `HostDown fires`:
fires (just after its `for`), silent (just below its threshold), no data (series missing or stale), and
clears (fires, then recovers).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.runbook.rules import RULES, documents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from infra.spec import Platform

SEVERITIES = ("page", "ticket", "none")
KINDS = ("symptom", "cause", "duty", "meta")
MATURITIES = ("trial", "proven")
LAYERS = ("edge", "app", "database", "host", "tasks", "logs", "monitoring", "tls", "slo", "security")
SIDES = ("fires", "silent", "no data", "clears")
LABELS = {
    "severity": SEVERITIES,
    "layer": LAYERS,
    "kind": KINDS,
    "maturity": MATURITIES,
}
TEST_NAME = re.compile(r"(?P<alert>[A-Z][A-Za-z0-9]+) (?P<side>fires|silent|no data|clears)(:.*)?$")
PLAN_OF_THE_TASK = "{{ $labels.plan }}"  # rules over all scheduled tasks: each series says its clause
ALWAYS = {"Watchdog"}  # fires by design: there is nothing below it and nothing to clear


@dataclass(frozen=True)
class Gap:
    """One thing that an alert lacks."""

    file: Path
    alert: str
    what: str

    def __str__(self) -> str:
        """Return it as `file: alert: what`."""
        return f"{self.file}: {self.alert}: {self.what}"


def gaps(platform: Platform, folder: Path = RULES) -> list[Gap]:
    """Return everything that the rules and the promtool tests below `folder` lack."""
    tests = [(path, test) for path, document in documents(folder, "*_test.yml") for test in document["tests"]]
    found: list[Gap] = []
    alerts: dict[str, Path] = {}
    for path, document in documents(folder, "*.rules.yml"):
        for group in document["groups"]:
            for rule in (rule for rule in group["rules"] if "alert" in rule):
                alerts[rule["alert"]] = path
                found += [Gap(path, rule["alert"], what) for what in _rule(rule, platform)]
    found += [Gap(path, alert, what) for alert, path in alerts.items() for what in _sides(alert, tests)]
    found += [gap for path, test in tests for gap in _strangers(path, test, alerts)]
    return list(dict.fromkeys(found))


def _rule(rule: dict[str, Any], platform: Platform) -> Iterator[str]:
    labels, notes = rule.get("labels", {}), rule.get("annotations", {})
    for name, allowed in LABELS.items():
        if labels.get(name) not in allowed:
            yield f"label {name} is {labels.get(name)!r}, wanted one of {', '.join(allowed)}"
    if labels.get("plan") not in {*platform.plan, PLAN_OF_THE_TASK}:
        yield f"label plan is {labels.get('plan')!r}, which is no clause of the plan"
    if labels.get("team") not in platform.teams:
        yield f"label team is {labels.get('team')!r}, wanted one of {', '.join(platform.teams)}"
    if labels.get("service") not in {*platform.services, "platform"}:
        yield f"label service is {labels.get('service')!r}, wanted a service or `platform`"
    if any("{{" in str(value) for value in labels.values() if value != PLAN_OF_THE_TASK):
        yield "a label has a template; a value in a label makes a new alert of every change"
    if (labels.get("severity"), labels.get("maturity")) == ("page", "trial"):
        yield "pages, and is on trial"
    yield from _texts(rule["alert"], labels, notes)


def _texts(alert: str, labels: dict[str, Any], notes: dict[str, Any]) -> Iterator[str]:
    wanted = ["summary", "description", *(["summary_zh"] if labels.get("severity") == "page" else [])]
    for name in wanted:
        if not str(notes.get(name, "")).strip():
            yield f"no annotation {name}"
    if notes.get("runbook") != f"runbooks/alerts/{alert}.md":
        yield f"annotation runbook is {notes.get('runbook')!r}"


def _sides(alert: str, tests: Collection[tuple[Path, dict[str, Any]]]) -> Iterator[str]:
    """Yield the sides that no test shows. What a side means is looked at, not its name alone."""
    if alert in ALWAYS:
        return
    for side in SIDES:
        named = [test for _, test in tests if _of(test) == (alert, side)]
        if not named:
            yield f"no promtool test named '{alert} {side}'"
        elif not all(_shows(side, alert, test) for test in named):
            yield f"a promtool test named '{alert} {side}' does not show that"


def _of(test: dict[str, Any]) -> tuple[str, str]:
    found = TEST_NAME.match(str(test.get("name", "")))
    return (found["alert"], found["side"]) if found else ("", "")


def _shows(side: str, alert: str, test: dict[str, Any]) -> bool:
    asked = [one for one in test.get("alert_rule_test", ()) if one["alertname"] == alert]
    fired = [bool(one.get("exp_alerts")) for one in asked]
    if side == "fires":
        return any(fired) and not fired[0]
    if side == "silent":
        return bool(fired) and not any(fired)
    if side == "clears":
        return any(fired) and not fired[-1]
    return bool(fired)


def _strangers(path: Path, test: dict[str, Any], alerts: Collection[str]) -> Iterator[Gap]:
    name = str(test.get("name", ""))
    found = TEST_NAME.match(name)
    if found is None:
        yield Gap(path, name or "a test", "its name is not '<Alert> fires|silent|no data|clears'")
    elif found["alert"] not in alerts:
        yield Gap(path, name, "there is no such alert")
