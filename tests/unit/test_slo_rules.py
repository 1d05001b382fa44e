# SPDX-License-Identifier: Apache-2.0
"""Rules of objectives are what slos.yml says: the committed file, the burn rates, the windows."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from alerts import slo_rules


def test_the_committed_rules_are_those_of_the_description() -> None:
    """Regenerate with `python -m alerts.slo_rules`."""
    assert slo_rules.TARGET.read_text("utf-8") == slo_rules.document()


def rules(slo: str) -> dict[str, dict[str, Any]]:
    """Return the rules of an objective by the name of their alert or record."""
    groups = YAML(typ="safe").load(slo_rules.document())["groups"]
    found = [rule for group in groups for rule in group["rules"] if rule["labels"]["slo"] == slo]
    return {rule.get("alert", rule.get("record")): rule for rule in found}


@pytest.mark.parametrize(
    ("alert", "limits"),
    [
        ("ErrorBudgetBurnFast", ["0.0144", "0.0144"]),
        ("ErrorBudgetBurnSlow", ["0.006", "0.006"]),
        ("ErrorBudgetBurnTicket", ["0.003", "0.003", "0.001", "0.001"]),
    ],
)
def test_burn_rates_of_a_thousandth_in_thirty_days(alert: str, limits: list[str]) -> None:
    """14.4, 6, 3 and 1 times the budget, as in the Site Reliability Workbook, table 5-8."""
    words = rules("site-availability")[alert]["expr"].split()
    assert [words[at + 1] for at, word in enumerate(words) if word == ">"] == limits


def test_an_objective_of_the_journey_is_told_of_once_a_day_alone() -> None:
    """Three times the budget of half a percent, over a day and two hours; JourneyFailing pages for runs."""
    found = rules("site-journey")
    assert [name for name in found if not name.startswith("slo:")] == [
        "ErrorBudgetBurnTicket",
        "SloDataAbsent",
    ]
    assert found["ErrorBudgetBurnTicket"]["expr"] == (
        'slo:error_ratio:rate1d{slo="site-journey"} > 0.015 and '
        'slo:error_ratio:rate2h{slo="site-journey"} > 0.015 and '
        'slo:runs:count1d{slo="site-journey"} >= 144'
    )
    assert found["slo:error_budget:ratio"]["expr"] == "vector(0.005)"
    assert "slo:error_budget_remaining:ratio" in found


@pytest.mark.parametrize("slo", ["site-availability", "site-latency", "site-journey"])
def test_no_rule_reads_a_window_that_is_not_recorded(slo: str) -> None:
    """Such a rule is silent for ever."""
    found = rules(slo)
    read = {name for rule in found.values() for name in re.findall(r"slo:[a-z0-9_:]+", rule["expr"])}
    assert read <= set(found)
