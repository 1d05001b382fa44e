# SPDX-License-Identifier: Apache-2.0
"""Who hears of which alert, and what the mail says: judged by Debian 13's own amtool."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
import yaml

from alerts.catalogue import SEVERITIES
from infra.cli import runbook as runbook_group
from infra.runbook.rules import alerts
from infra.spec import load
from tests.templates.rendering import render
from tests.templates.test_monitoring import of_monitoring

if TYPE_CHECKING:
    from tests.templates.debian13 import Tools

GOLDEN = yaml.safe_load((Path(__file__).parent / "alert_routes.yml").read_text("utf-8"))
KINDS = {"email_configs": ("mail", "to"), "webhook_configs": ("webhook", "url"),
         "pagerduty_configs": ("pagerduty", "url"), "opsgenie_configs": ("opsgenie", "api_url")}  # fmt: skip
TEXT = '{{ template "perennial.text" . }}'
SUBJECT = '{{ template "perennial.subject" . }}'


def configured(**environment: Any) -> dict[str, Any]:
    """Return the variables of the monitoring host with parts of its environment put in place."""
    known = of_monitoring()
    known["perennial"]["environment"] |= environment
    return known


def routed(tools: Tools, folder: Path, text: str, labels: dict[str, str], receiver: str) -> tuple[int, str]:
    """Return how amtool ends, asked whether an alert goes to `receiver`, and what it says."""
    (folder / "alertmanager.yml").write_text(text, "utf-8")
    command = ["amtool", "config", "routes", "test", "--config.file=/test/alertmanager.yml"]
    command += [f"--verify.receivers={receiver}", *[f"{name}={value}" for name, value in labels.items()]]
    done = tools.run(command, mounts={folder: "/test"})
    return done.returncode, done.stdout + done.stderr


def test_every_route_is_as_written_down(debian13_tools: Tools, tmp_path: Path) -> None:
    """A page that goes to a ticket queue is read in the morning."""
    text = render("monitoring", "alertmanager.yml.j2", of_monitoring())
    wrong = []
    for row in GOLDEN["routes"]:
        code, said = routed(debian13_tools, tmp_path, text, row["labels"], row["receiver"])
        if code:
            wrong.append(f"{row['labels']}: wanted {row['receiver']}: {said.strip()}")
    assert not wrong, "\n".join(wrong)


def test_a_route_to_somebody_else_is_seen(debian13_tools: Tools, tmp_path: Path) -> None:
    """Positive control of the test above: the matcher of a severity is broken."""
    text = render("monitoring", "alertmanager.yml.j2", of_monitoring())
    broken = text.replace("receiver: legal-page, matchers: ['severity=\"page\"']",
                          "receiver: legal-page, matchers: ['severity=\"pages\"']")  # fmt: skip
    assert broken != text
    labels = {"alertname": "SiteDown", "severity": "page", "team": "legal"}
    code, said = routed(debian13_tools, tmp_path, broken, labels, "legal-page")
    assert code != 0
    assert "legal-ticket" in said


def test_every_team_and_severity_is_written_down() -> None:
    """A new team whose routes nobody looked at would be told by chance."""
    rows = {(row["labels"].get("team"), row["labels"].get("severity")) for row in GOLDEN["routes"]}
    assert {(team, severity) for team in load("lab").teams for severity in ("page", "ticket")} <= rows
    assert {severity for _, severity in rows} >= set(SEVERITIES)
    assert {alert.severity for alert in alerts().values()} <= set(SEVERITIES)


def test_receivers_reach_whom_the_description_names() -> None:
    """The name of a receiver says nothing of where it leads."""
    made = yaml.safe_load(render("monitoring", "alertmanager.yml.j2", of_monitoring()))["receivers"]
    found = {
        one["name"]: [
            f"{kind} to {entry[where]}" for key, (kind, where) in KINDS.items() for entry in one.get(key, [])
        ]
        for one in made
    }
    assert found == GOLDEN["receivers"]


def test_no_key_stands_in_the_configuration_and_no_mail_goes_in_clear_text() -> None:
    """Keys are read from files of Alertmanager's group; the configuration is readable by everybody."""
    made = yaml.safe_load(render("monitoring", "alertmanager.yml.j2", of_monitoring()))
    text = json.dumps(made)
    files = re.findall(r'"(routing_key_file|credentials_file|smtp_auth_password_file)": "([^"]+)"', text)
    assert {path for _, path in files} == {
        f"/etc/prometheus/alertmanager-secret-{name}" for name in ("deadman", "paging-key", "smtp-relay")
    }
    assert not re.search(r'"(routing_key|api_key|smtp_auth_password|credentials|password)":', text)
    assert made["global"]["smtp_require_tls"] is True
    assert "insecure_skip_verify" not in text


OTHERS = {
    "chat": {"kind": "webhook", "url": "https://chat.example.org/hook", "secret": "paging-key"},
    "rota": {"kind": "opsgenie", "secret": "paging-key", "url": "https://api.eu.opsgenie.com/"},
}


def test_every_kind_of_receiver_is_accepted(debian13_tools: Tools, tmp_path: Path) -> None:
    """The lab uses two kinds; an adopter may need the others."""
    known = configured()
    ways = [
        {"name": name, "to": "", "authority": "public", "domain": None, **way} for name, way in OTHERS.items()
    ]
    known["perennial"]["alert_routes"][0]["ways"] += ways
    (tmp_path / "file").write_text(render("monitoring", "alertmanager.yml.j2", known), "utf-8")
    done = debian13_tools.run(["amtool", "check-config", "/test/file"], mounts={tmp_path: "/test"})
    assert done.returncode == 0, done.stdout + done.stderr
    made = yaml.safe_load((tmp_path / "file").read_text("utf-8"))["receivers"][0]
    assert made["opsgenie_configs"][0]["api_key_file"].endswith("paging-key")
    assert made["webhook_configs"][0]["http_config"]["authorization"]["credentials_file"].endswith(
        "paging-key"
    )


def test_without_receivers_nobody_is_told_and_the_configuration_holds(
    debian13_tools: Tools, tmp_path: Path
) -> None:
    """An environment may begin with neither relay nor receivers; its alerts are seen in Alertmanager."""
    known = configured(smtp_relay=None, alerting=None)
    known["perennial"]["alert_routes"], known["perennial"]["pools"]["deadman"] = [], []
    text = render("monitoring", "alertmanager.yml.j2", known)
    for labels in ({"alertname": "Watchdog"}, {"alertname": "SiteDown", "severity": "page"}):
        code, said = routed(debian13_tools, tmp_path, text, labels, "nobody")
        assert code == 0, said


def data(alert: str, **changes: Any) -> dict[str, Any]:
    """Return what Alertmanager hands to a template for one firing alert, as its rule makes it."""
    labels = {"alertname": alert, "instance": "app-1", "severity": "page", "team": "platform", "layer": "app"}
    notes = {
        "summary": "app-1 has 0 file systems at /srv/uploads instead of 1",
        "summary_zh": "app-1 上 /srv/uploads 的挂载数为 0",
        "description": "Uploads fail.",
    }
    one = {"status": "firing", "labels": labels, "annotations": notes, "fingerprint": "638f5d18ddb193d1",
           "startsAt": "2026-11-22T03:00:07Z", "endsAt": "2026-11-22T03:04:37Z"} | changes  # fmt: skip
    return {"status": one["status"], "alerts": [one], "groupLabels": {"alertname": alert},
            "commonLabels": labels, "commonAnnotations": notes, "receiver": "platform-page",
            "externalURL": "https://mon-1.lab.internal:9093"}  # fmt: skip


@pytest.fixture(name="mail")
def fixture_mail(debian13_tools: Tools, tmp_path: Path) -> Any:
    """Return a function that renders a template of the mail for some data."""
    (tmp_path / "perennial.tmpl").write_text(
        render("monitoring", "perennial.tmpl.j2", of_monitoring()), "utf-8"
    )

    def mail(template: str, given: dict[str, Any]) -> str:
        (tmp_path / "data.json").write_text(json.dumps(given), "utf-8")
        command = ["amtool", "template", "render", "--template.glob=/test/*.tmpl"]
        command += ["--template.data=/test/data.json", f"--template.text={template}"]
        done = debian13_tools.run(command, mounts={tmp_path: "/test"})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return mail


def test_a_page_says_host_trouble_impact_and_the_command_to_type(mail: Any) -> None:
    """Somebody who was asleep reads this: nothing has to be looked up, and the command is one that exists."""
    assert mail(SUBJECT, data("UploadsUnavailable")) == "[PAGE] [lab] UploadsUnavailable on app-1"
    text = mail(TEXT, data("UploadsUnavailable"))
    for word in (
        "app-1 has 0 file systems at /srv/uploads instead of 1",
        "app-1 上 /srv/uploads 的挂载数为 0", "Uploads fail.",
        "host     app-1",
        "team=platform", "03:00:07 UTC, 22 November 2026",
    ):  # fmt: skip
        assert word in text
    (typed,) = re.findall(r"^  perennial runbook (run .*)$", text, re.MULTILINE)
    name, *arguments = shlex.split(typed)
    command = typer.main.get_command(runbook_group.app).commands[name]  # type: ignore[attr-defined]
    asked = command.make_context(name, arguments).params
    assert (asked["alert"], asked["env"], asked["fingerprint"]) == (
        "UploadsUnavailable",
        "lab",
        "638f5d18ddb193d1",
    )


def test_the_end_of_an_alert_asks_for_nothing(mail: Any) -> None:
    """A mail that says that all is well and shows a command would be obeyed."""
    assert (
        mail(SUBJECT, data("UploadsUnavailable", status="resolved"))
        == "[RESOLVED] [lab] UploadsUnavailable on app-1"
    )
    text = mail(TEXT, data("UploadsUnavailable", status="resolved"))
    assert "over, nothing to do:" in text
    assert "03:00:07 to 03:04:37 UTC" in text
    assert "perennial runbook" not in text
