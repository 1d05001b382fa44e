# SPDX-License-Identifier: Apache-2.0
"""The alert rules that pages belong to, read from `alerts/`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from infra.spec import CHECKOUT

RULES = CHECKOUT / "alerts"
HASH_DIGITS = 12


@dataclass(frozen=True)
class Alert:
    """All rules of one alert name; `severity` is that of the first, `hash` is over all of them."""

    name: str
    severity: str
    summary: str
    hash: str


def _relevant(rule: dict[str, Any]) -> list[str]:
    """Return what decides when an alert fires and whom it calls; line breaks in an expression do not."""
    return [
        " ".join(str(rule["expr"]).split()),
        str(rule.get("for", "0s")),
        str(rule.get("labels", {}).get("severity", "")),
    ]


def alerts(folder: Path = RULES) -> dict[str, Alert]:
    """Return every alert of the rule files below `folder` by name.

    `hash` is the first 12 hexadecimal digits of SHA-256 over expression, `for` and severity of its rules: a
    page carries it, so that a changed rule asks for the page to be read again.
    """
    rules: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.rglob("*.rules.yml")):
        for group in YAML(typ="safe").load(path.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    rules.setdefault(rule["alert"], []).append(rule)
    return {name: _alert(name, found) for name, found in sorted(rules.items())}


def _alert(name: str, rules: list[dict[str, Any]]) -> Alert:
    digest = hashlib.sha256(json.dumps([_relevant(rule) for rule in rules]).encode()).hexdigest()
    first = rules[0]
    summary = str(first.get("annotations", {}).get("summary", ""))
    return Alert(name, str(first.get("labels", {}).get("severity", "")), summary, digest[:HASH_DIGITS])
