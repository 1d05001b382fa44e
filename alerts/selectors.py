# SPDX-License-Identifier: Apache-2.0
"""Whether the platform has what a rule asks for: every metric, label and label value of its expression.

A rule that asks for a metric of another exporter, or of another version, is silent for ever. What there is
was recorded from a running platform into `alerts/metrics.json` by `python -m alerts.record`: metric → label
→ its values, or null where they are too many to be a list.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import promql_parser

from infra.runbook.rules import RULES, documents
from infra.spec import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Known = Mapping[str, Mapping[str, list[str] | None]]

METRICS = RULES / "metrics.json"
GIVEN = {"environment"}  # external labels, which series inside Prometheus do not carry
ALERTS = {"ALERTS", "ALERTS_FOR_STATE"}


def known(path: Path = METRICS) -> dict[str, dict[str, list[str] | None]]:
    """Return what was recorded."""
    found: dict[str, dict[str, list[str] | None]] = json.loads(path.read_text("utf-8"))["metrics"]
    return found


def blind(folder: Path, recorded: Known) -> list[str]:
    """Return one line for each selector in the rules below `folder` that nothing recorded can match."""
    rules = [
        (path, rule)
        for path, document in documents(folder, "*.rules.yml")
        for group in document["groups"]
        for rule in group["rules"]
    ]
    own = {rule["record"] for _, rule in rules if "record" in rule} | ALERTS
    return [
        f"{path.name}: {rule.get('alert', rule.get('record'))}: {what}"
        for path, rule in rules
        for what in unmatched(str(rule["expr"]), recorded, own)
    ]


def unmatched(expression: str, recorded: Known, own: set[str]) -> Iterator[str]:
    """Yield what in `expression` nothing recorded has; metrics in `own` come from rules and are let pass."""
    for selector in _selectors(expression):
        if selector.name in own:
            continue
        if selector.name not in recorded:
            near = nearest(selector.name or "", recorded)
            yield f"no metric {selector.name}" + (f" (did you mean {near}?)" if near else "")
            continue
        yield from _matchers(selector, recorded[selector.name])


def _selectors(expression: str) -> list[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        """Keep selectors; go on."""
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def _matchers(selector: Any, labels: Mapping[str, list[str] | None]) -> Iterator[str]:
    for matcher in selector.matchers.matchers:
        if matcher.op == promql_parser.MatchOp.Equal:
            pattern = re.escape(matcher.value)
        elif matcher.op == promql_parser.MatchOp.Re:
            pattern = matcher.value
        else:
            continue
        if re.fullmatch(pattern, "") or matcher.name in GIVEN:
            continue
        if matcher.name not in labels:
            yield f"{selector.name} has no label {matcher.name}"
            continue
        values = labels[matcher.name]
        if values is not None and not any(re.fullmatch(pattern, value) for value in values):
            yield f"{selector.name} has no {matcher.name} that matches {matcher.value!r}"
