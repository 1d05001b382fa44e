# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration of monitoring and of the log store, judged by Debian 13's own programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ansible.errors import AnsibleError

from infra.inventory.variables import host_variables
from infra.spec import CHECKOUT, load
from tests.programs import program
from tests.templates.rendering import render, variables_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.templates.debian13 import Tools

RULES = CHECKOUT / "alerts"
CHECKS = {
    "prometheus.yml.j2": ["promtool", "check", "config", "--syntax-only", "/test/file"],
    "alertmanager.yml.j2": ["amtool", "check-config", "/test/file"],
    "blackbox.yml.j2": ["prometheus-blackbox-exporter", "--config.check", "--config.file=/test/file"],
}


def lookup_plugin() -> Any:
    """Return the module of the lookup that reads rule files."""
    return program("roles/monitoring/lookup_plugins/perennial_rules.py")


def of_monitoring() -> dict[str, Any]:
    """Return the variables of the monitoring host, with those of every other host."""
    platform = load("lab")
    known = variables_of("mon-1")
    known["hostvars"] = {
        name: {"perennial": host_variables(platform, host)} for name, host in platform.hosts.items()
    }
    return known


@pytest.fixture(name="check")
def fixture_check(debian13_tools: Tools, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that has a text checked by a command inside the tools tree."""

    def check(text: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        (tmp_path / "file").write_text(text)
        return debian13_tools.run(command, mounts={tmp_path: "/test"})

    return check


@pytest.mark.parametrize("template", CHECKS)
def test_daemons_accept_their_configuration(template: str, check: Any) -> None:
    """A typing error here would otherwise show at the first converge."""
    result = check(render("monitoring", template, of_monitoring()), CHECKS[template])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("template", CHECKS)
def test_the_checks_see_a_wrong_configuration(template: str, check: Any) -> None:
    """Positive control of the test above."""
    result = check(render("monitoring", template, of_monitoring()) + "\nno_such_key: 1\n", CHECKS[template])
    assert result.returncode != 0


def test_every_described_target_is_scraped_over_tls_and_named_after_its_host() -> None:
    """A live service that nobody reads is the gap that monitoring exists to close."""
    known = of_monitoring()
    jobs = yaml.safe_load(render("monitoring", "prometheus.yml.j2", known))["scrape_configs"]
    read = {
        (job["job_name"], entry["labels"]["instance"], entry["targets"][0], job["metrics_path"])
        for job in jobs
        for entry in job["static_configs"]
    }
    for target in known["perennial"]["scrape"]:
        wanted = (target["job"], target["host"], f"{target['address']}:{target['port']}", target["path"])
        assert wanted in read
    assert {job["scheme"] for job in jobs} == {"https"}
    assert {job["tls_config"]["ca_file"] for job in jobs} == {"/etc/perennial/tls/ca.crt"}


def test_each_site_is_probed_through_the_address_and_through_each_edge() -> None:
    """One dead edge behind a living virtual address must be seen."""
    known = of_monitoring()
    jobs = {
        job["job_name"]: job
        for job in yaml.safe_load(render("monitoring", "prometheus.yml.j2", known))["scrape_configs"]
    }
    probed = {
        entry["targets"][0] for name in ("probe-site", "probe-edge") for entry in jobs[name]["static_configs"]
    }
    perennial = known["perennial"]
    addresses = [
        perennial["environment"]["vip"]["address"],
        *(edge["address"] for edge in perennial["pools"]["edge"]),
    ]
    assert probed == {f"https://{address}/" for address in addresses}
    modules = yaml.safe_load(render("monitoring", "blackbox.yml.j2", known))["modules"]
    body = modules["site_community"]["http"]["fail_if_body_not_matches_regexp"][0]
    assert re.search(body, "<title>社区</title>")
    assert not re.search(body, "<title>Apache2 Debian Default Page</title>")


def test_every_job_is_asked_for_by_the_alert_on_absent_targets() -> None:
    """A job that leaves the configuration makes no series, so that only an alert that names it can tell."""
    document = yaml.safe_load(render("monitoring", "prometheus.yml.j2", of_monitoring()))
    rules = (CHECKOUT / "alerts" / "monitoring" / "monitoring.rules.yml").read_text("utf-8")
    asked = set(re.findall(r'absent\(up\{job="([a-z-]+)"\}\)', rules))
    assert {scrape["job_name"] for scrape in document["scrape_configs"]} == asked


def test_the_list_of_expected_tasks_names_every_host_and_task() -> None:
    """TaskMetricAbsent can only miss what this list names."""
    platform = load("lab")
    lines = render("monitoring", "tasks-expected.prom.j2", of_monitoring()).splitlines()
    tasks = [task for host in platform.hosts.values() for task in host_variables(platform, host)["tasks"]]
    assert len([line for line in lines if line.startswith("perennial_task_expected{")]) == len(tasks) > 0


def test_alert_rules_do_what_their_tests_say(debian13_tools: Tools) -> None:
    """Each alert fires, stays silent below its threshold, copes with no data, and clears."""
    find = "find /rules -name '*{}' -exec promtool {} rules {{}} +"
    command = ["sh", "-c", f"{find.format('.rules.yml', 'check')} && {find.format('_test.yml', 'test')}"]
    result = debian13_tools.run(command, mounts={RULES: "/rules"})
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_changed_threshold_turns_the_rule_tests_red(debian13_tools: Tools, tmp_path: Path) -> None:
    """Positive control: rule tests that pass on any rule would show nothing."""
    for path in (RULES / "tasks").iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace("> 2 * perennial", "> 9 * perennial"))
    result = debian13_tools.run(
        ["sh", "-c", "cd /rules && promtool test rules tasks_test.yml"], mounts={tmp_path: "/rules"}
    )
    assert result.returncode == 1
    assert "TaskLate" in result.stdout + result.stderr


def test_all_rule_files_of_the_checkout_are_taken_and_accepted(check: Any) -> None:
    """The host gets one file, made from all; a group lost on the way would be an alert that never fires."""
    groups = lookup_plugin().groups_of(CHECKOUT / "alerts")
    names = {
        group["name"]
        for path in (CHECKOUT / "alerts").rglob("*.rules.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
    }
    assert {group["name"] for group in groups} == names
    result = check(yaml.safe_dump({"groups": groups}), ["promtool", "check", "rules", "/test/file"])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {
                "a.rules.yml": "groups: [{name: a, rules: []}]",
                "b/c.rules.yml": "groups: [{name: a, rules: []}]",
            },
            "exists already",
        ),
        ({"a.rules.yml": "{}"}, "no rule groups"),
        ({"a.yml": "groups: []"}, "no \\*.rules.yml"),
    ],
)
def test_rules_that_would_get_lost_are_refused(files: dict[str, str], message: str, tmp_path: Path) -> None:
    """Prometheus takes the last of two groups with one name, and an empty folder, without a word."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(AnsibleError, match=message):
        lookup_plugin().groups_of(tmp_path)


def test_each_rule_names_the_page_of_its_alert() -> None:
    """The page is what on-call opens; tests/policy/test_runbooks.py says what must be on it."""
    for path in RULES.glob("*.rules.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                page = CHECKOUT / rule["annotations"]["runbook"]
                assert page.name == f"{rule['alert']}.md"
                assert page.is_file()


def test_rsyslog_accepts_the_log_store(check: Any) -> None:
    """And refuses it with a setting that does not exist."""
    text = render("logs", "store.conf.j2", of_monitoring())
    command = ["rsyslogd", "-N1", "-f", "/test/file"]
    table = json.loads(render("logs", "log-hosts.json.j2", of_monitoring()))
    assert {"index": "10.87.0.21", "value": "app-1"} in table["table"]
    assert table["nomatch"] == "unknown"
    (wrong,) = [check(text.replace('type="omfile"', 'type="omfile" noSuchThing="1"'), command)]
    assert "noSuchThing" in wrong.stdout + wrong.stderr
    right = check(text, command)
    assert "error during parsing" not in right.stdout + right.stderr, right.stderr
