# SPDX-License-Identifier: Apache-2.0
"""Rules of objectives are what slos.yml says: the committed file, the burn rates, the windows."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from alerts import slo_rules


def test_the_committed_rules_are_those_of_the_description() -> None:
    """Regenerate with `python -m alerts.slo_rules`."""
    assert slo_rules.TARGET.read_text("utf-8") == slo_rules.document()


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
    groups = YAML(typ="safe").load(slo_rules.document())["groups"]
    rules = [rule for group in groups for rule in group["rules"] if rule.get("alert") == alert]
    (rule,) = [rule for rule in rules if rule["labels"]["slo"] == "site-availability"]
    words = rule["expr"].split()
    assert [words[at + 1] for at, word in enumerate(words) if word == ">"] == limits
