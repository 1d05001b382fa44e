# SPDX-License-Identifier: Apache-2.0
"""What the catalogue asks of a rule: each thing that is missing is named, and a whole one is not accused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from alerts import catalogue, record, selectors
from infra.spec import load

if TYPE_CHECKING:
    from pathlib import Path

RULE: dict[str, Any] = {
    "alert": "DiskFull",
    "expr": "disk_free == 0",
    "for": "2m",
    "labels": {
        "severity": "page", "layer": "host", "service": "platform", "kind": "cause", "maturity": "proven",
        "plan": "tech.maintenance", "team": "platform",
    },
    "annotations": {
        "summary": "full", "summary_zh": "满", "description": "why", "runbook": "runbooks/alerts/DiskFull.md",
    },
}  # fmt: skip
FIRES = [{"eval_time": "1m", "alertname": "DiskFull"}]
FIRED = {"eval_time": "3m", "alertname": "DiskFull", "exp_alerts": [{"exp_labels": {}}]}
TESTS: list[dict[str, Any]] = [
    {"name": "DiskFull fires", "alert_rule_test": [*FIRES, FIRED]},
    {"name": "DiskFull silent: one byte left", "alert_rule_test": FIRES},
    {"name": "DiskFull no data", "alert_rule_test": FIRES},
    {"name": "DiskFull clears", "alert_rule_test": [FIRED, {"eval_time": "9m", "alertname": "DiskFull"}]},
]
RECORDED = {"disk_free": {"instance": None, "kind": ["root", "data"]}}


def gaps(folder: Path, rule: dict[str, Any], tests: list[dict[str, Any]]) -> list[str]:
    """Return what the catalogue says of one rule with its tests."""
    for name, document in (
        ("disk.rules.yml", {"groups": [{"name": "disk", "rules": [rule]}]}),
        ("disk_test.yml", {"tests": tests}),
    ):
        with (folder / name).open("w", encoding="utf-8") as file:
            YAML().dump(copy.deepcopy(document), file)
    return [gap.what for gap in catalogue.gaps(load("lab"), folder)]


def test_a_whole_rule_has_no_gap(tmp_path: Path) -> None:
    """The positive control of every case below."""
    assert gaps(tmp_path, RULE, TESTS) == []


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("labels", "severity", "critical", "label severity is 'critical'"),
        ("labels", "layer", None, "label layer is None"),
        ("labels", "kind", "bad", "label kind is 'bad'"),
        ("labels", "plan", "5.4", "no clause of the plan"),
        ("labels", "team", "nobody", "label team is 'nobody'"),
        ("labels", "service", "disc", "label service is 'disc'"),
        ("labels", "maturity", "trial", "pages, and is on trial"),
        ("labels", "value", "{{ $value }}", "a label has a template"),
        ("annotations", "summary_zh", "", "no annotation summary_zh"),
        ("annotations", "description", None, "no annotation description"),
        ("annotations", "runbook", "http://x", "annotation runbook is 'http://x'"),
    ],
)
def test_each_mistake_of_a_rule_is_named(
    tmp_path: Path, part: str, key: str, value: str | None, said: str
) -> None:
    """By what is wrong and what is wanted."""
    rule = copy.deepcopy(RULE)
    rule[part][key] = value
    if value is None:
        del rule[part][key]
    found = gaps(tmp_path, rule, TESTS)
    assert any(said in what for what in found), found


@pytest.mark.parametrize("side", range(4))
def test_each_side_must_be_there_and_show_what_its_name_says(tmp_path: Path, side: int) -> None:
    """A test that is named after a side and shows another is a gap as well."""
    name = TESTS[side]["name"].split(":")[0]
    without = [test for test in TESTS if test is not TESTS[side]]
    assert f"no promtool test named '{name}'" in gaps(tmp_path, RULE, without)
    empty = [*without, {"name": name, "alert_rule_test": []}]
    assert f"a promtool test named '{name}' does not show that" in gaps(tmp_path, RULE, empty)


def test_a_test_of_no_alert_is_named(tmp_path: Path) -> None:
    """A renamed alert leaves its tests behind."""
    strangers = [
        {"name": "DiskFul fires", "alert_rule_test": []},
        {"name": "whatever", "alert_rule_test": []},
    ]
    found = gaps(tmp_path, RULE, [*TESTS, *strangers])
    assert "there is no such alert" in found
    assert "its name is not '<Alert> fires|silent|no data|clears'" in found


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ('rate(disk_free{kind="root"}[5m]) > 0 and on (instance) disk_free{kind=~"ro.*"}', []),
        ('absent(disk_free{environment="lab"})', []),
        ("disc_free > 0", ["no metric disc_free (did you mean disk_free?)"]),
        ('disk_free{mount="/"}', ["disk_free has no label mount"]),
        ('sum(disk_free{kind="boot"})', ["disk_free has no kind that matches 'boot'"]),
        ('disk_free{kind!="boot", mount=""}', []),
        ("slo:ratio > 1", []),
    ],
)
def test_a_selector_that_nothing_can_match_is_named(expression: str, said: list[str]) -> None:
    """Metric, label and value, wherever in the expression they stand."""
    assert list(selectors.unmatched(expression, RECORDED, {"slo:ratio"})) == said


def test_what_is_recorded_leaves_out_lists_that_differ_between_environments() -> None:
    """Hosts, and values that come and go."""
    many = [{"__name__": "m", "instance": "a", "kind": "k", "id": str(number)} for number in range(30)]
    assert record.digest(many) == {"m": {"id": None, "instance": None, "kind": ["k"]}}
