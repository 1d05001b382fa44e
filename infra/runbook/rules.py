# SPDX-License-Identifier: Apache-2.0
"""The alert rules of `alerts/` and the alerts that their promtool tests ask about: the one reader of both."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from infra.spec import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RULES = CHECKOUT / "alerts"
HASH_DIGITS = 12
DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


@dataclass(frozen=True)
class Alert:
    """All rules of one name: `hash` is over all of them, `for_seconds` the shortest, the rest the first's."""

    name: str
    severity: str
    summary: str
    hash: str
    file: Path
    for_seconds: float = 0.0


def _relevant(rule: dict[str, Any]) -> list[str]:
    """Return what decides when an alert fires and whom it calls; line breaks in an expression do not."""
    return [
        " ".join(str(rule["expr"]).split()),
        str(rule.get("for", "0s")),
        str(rule.get("labels", {}).get("severity", "")),
    ]


@cache
def alerts(folder: Path = RULES) -> Mapping[str, Alert]:
    """Return every alert of the rule files below `folder` by name; they are read once a process.

    `hash` is the first 12 hexadecimal digits of SHA-256 over expression, `for` and severity of its rules: a
    page carries it, so that a changed rule asks for the page to be read again.
    """
    rules: dict[str, list[dict[str, Any]]] = {}
    files: dict[str, Path] = {}
    for path, document in documents(folder, "*.rules.yml"):
        for rule in (rule for group in document["groups"] for rule in group["rules"] if "alert" in rule):
            rules.setdefault(rule["alert"], []).append(rule)
            files.setdefault(rule["alert"], path)
    return MappingProxyType({name: _alert(name, found, files[name]) for name, found in sorted(rules.items())})


def under_test(folder: Path = RULES) -> set[str]:
    """Return the names of the alerts that a promtool test below `folder` asks about."""
    return {
        asked["alertname"]
        for _, document in documents(folder, "*_test.yml")
        for test in document["tests"]
        for asked in test.get("alert_rule_test", ())
    }


def documents(folder: Path, pattern: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every YAML file below `folder` whose name fits `pattern`, with its path, by path."""
    for path in sorted(folder.rglob(pattern)):
        yield path, YAML(typ="safe").load(path.read_text("utf-8"))


def _alert(name: str, rules: list[dict[str, Any]], file: Path) -> Alert:
    digest = hashlib.sha256(json.dumps([_relevant(rule) for rule in rules]).encode()).hexdigest()
    first = rules[0]
    summary = str(first.get("annotations", {}).get("summary", ""))
    severity = str(first.get("labels", {}).get("severity", ""))
    waits = min(duration(str(rule.get("for", "0s"))) for rule in rules)
    return Alert(name, severity, summary, digest[:HASH_DIGITS], file, waits)


def duration(text: str) -> float:
    """Return a Prometheus duration such as `1h30m` in seconds; raise ValueError for text that is none."""
    parts = DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration")
    return float(sum(int(number) * SECONDS[unit] for number, unit in parts))
