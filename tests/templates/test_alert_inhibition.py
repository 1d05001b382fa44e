# SPDX-License-Identifier: Apache-2.0
"""Which alert keeps which one quiet: one trouble, one message, and no trouble without any."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
import yaml

from infra.runbook.rules import RULES, alerts, documents
from tests.templates.rendering import render
from tests.templates.test_monitoring import of_monitoring

MATCHER = re.compile(r'(?P<label>[a-z_]+)(?P<how>=~|!~|!=|=)"(?P<value>[^"]*)"')
JOURNEY = {
    "alertname": "JourneyFailing",
    "layer": "app",
    "instance": "ctl-1",
    "site": "community",
    "step": "post",
}
TASK = {"alertname": "TaskFailed", "layer": "tasks", "instance": "ctl-1", "site": "community"}


def labels() -> dict[str, dict[str, str]]:
    """Return the labels that each alert has from its rule."""
    files = documents(RULES, "*.rules.yml")
    groups = [group for _, document in files for group in document["groups"]]
    found = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    return {rule["alert"]: {"alertname": rule["alert"], **rule["labels"]} for rule in found}


def rules(text: str | None = None) -> list[dict[str, Any]]:
    """Return the inhibition rules, of the role's template as it stands or of another text."""
    made = text or render("monitoring", "alertmanager.yml.j2", of_monitoring())
    found: list[dict[str, Any]] = yaml.safe_load(made)["inhibit_rules"]
    return found


def fits(matchers: list[str], labels: dict[str, str]) -> bool:
    """Tell whether labels match, as Alertmanager does: whole values, and a label that is missing is empty."""
    for text in matchers:
        one = MATCHER.fullmatch(text)
        assert one, text
        value = labels.get(one["label"], "")
        same = bool(re.fullmatch(one["value"], value)) if "~" in one["how"] else value == one["value"]
        if same is one["how"].startswith("!"):
            return False
    return True


def quiet(target: dict[str, str], source: dict[str, str], given: list[dict[str, Any]]) -> bool:
    """Tell whether `source`, firing, keeps people from being told of `target`."""
    return any(
        fits(rule["source_matchers"], source)
        and fits(rule["target_matchers"], target)
        and all(source.get(name, "") == target.get(name, "") for name in rule.get("equal", ()))
        for rule in given
    )


@pytest.mark.parametrize(
    "source",
    [
        {"alertname": "SiteDown", "layer": "edge", "site": "community", "instance": "vip"},
        {"alertname": "HAProxyBackendNoServers", "layer": "edge", "proxy": "app"},
        {"alertname": "MariaDBNoWriter", "layer": "database"},
        {"alertname": "MariaDBTwoWriters", "layer": "database"},
        {"alertname": "ErrorBudgetBurnFast", "layer": "slo", "slo": "site-availability"},
    ],
    ids=lambda source: source["alertname"],
)
def test_what_stops_everybody_explains_a_journey_that_fails(source: dict[str, str]) -> None:
    """Two pages for one trouble ring two phones."""
    assert quiet(JOURNEY, source, rules())
    assert not quiet(source, JOURNEY, rules()), "the cause must stay told of"


@pytest.mark.parametrize(
    "source",
    [
        {"alertname": "AppUnhealthy", "layer": "app", "instance": "app-1"},
        {"alertname": "EdgeProbeFailing", "layer": "edge", "instance": "edge-1"},
        {"alertname": "HostDown", "layer": "host", "instance": "app-1", "job": "node-metrics"},
        {"alertname": "ErrorBudgetBurnFast", "layer": "slo", "slo": "site-latency"},
        {"alertname": "MariaDBDown", "layer": "database", "instance": "db-2"},
        {"alertname": "TaskFailed", "layer": "tasks", "instance": "ctl-1", "task": "site-journey"},
    ],
    ids=lambda source: source["alertname"],
)
def test_what_redundancy_bears_explains_nothing(source: dict[str, str]) -> None:
    """With one host of a tier away the journey must pass: where it does not, somebody is called."""
    assert not quiet(JOURNEY, source, rules())


def test_a_failing_journey_speaks_for_its_own_task_alone() -> None:
    """Another task of the host, or the same one for another site, is a trouble of its own."""
    assert quiet(TASK | {"task": "site-journey"}, JOURNEY, rules())
    assert quiet(TASK | {"alertname": "TaskLate", "task": "site-journey"}, JOURNEY, rules())
    assert not quiet(TASK | {"task": "cert-renew"}, JOURNEY, rules())
    assert not quiet(TASK | {"task": "site-journey", "site": "other"}, JOURNEY, rules())
    assert not quiet(TASK | {"alertname": "TaskNeverRan", "task": "site-journey"}, JOURNEY, rules())


CAUSES = ("HAProxyBackendNoServers", "MariaDBNoWriter", "MariaDBTwoWriters")


@pytest.mark.parametrize("cause", CAUSES)
def test_a_page_that_names_the_cause_speaks_for_the_site(cause: str) -> None:
    """Drills told of two pages for one fault: the cause, and the site that was down by it."""
    source = labels()[cause]
    for name in ("SiteDown", "ErrorBudgetBurnFast"):
        assert quiet(labels()[name], source, rules())
        assert not quiet(source, labels()[name], rules()), "the cause must stay told of"


def test_no_two_alerts_keep_each_other_quiet() -> None:
    """Alertmanager lets one that is kept quiet speak for others all the same: nobody would be told."""
    given = rules()
    ends = {"instance": "app-1", "site": "community", "slo": "site-availability", "task": "site-journey"}
    jobs = ("node-metrics", "web-metrics")
    firing = [{**one, **ends, "job": job} for one in labels().values() for job in jobs]
    both = [
        (one["alertname"], other["alertname"])
        for one, other in itertools.combinations(firing, 2)
        if quiet(one, other, given) and quiet(other, one, given)
    ]
    assert not both, "\n".join(map(str, both))


def test_a_broken_matcher_is_seen() -> None:
    """Positive control: with a name mistyped both are told of."""
    text = render("monitoring", "alertmanager.yml.j2", of_monitoring())
    broken = text.replace("MariaDBNoWriter|MariaDBTwoWriters", "MariaDBNoWriters")
    assert broken != text
    assert not quiet(JOURNEY, {"alertname": "MariaDBTwoWriters"}, rules(broken))


def test_rules_name_alerts_that_exist() -> None:
    """A rule for an alert that was renamed keeps nothing quiet; a `.*` stands for several."""
    known = set(alerts())
    for rule in rules():
        for text in (*rule["source_matchers"], *rule["target_matchers"]):
            one = MATCHER.fullmatch(text)
            assert one, text
            if one["label"] == "alertname":
                for name in one["value"].split("|"):
                    assert any(re.fullmatch(name, alert) for alert in known), f"{text}: no alert {name}"
