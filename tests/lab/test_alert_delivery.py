# SPDX-License-Identifier: Apache-2.0
"""Alerts on their way to people: mail, phone, inhibition, silence, the end of an alert, the Watchdog.

Alerts are handed to Alertmanager with the labels that the rules make; the platform itself stays well.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.delivery import Alerts, Inbox, awaited, labels_of
from tests.lab_session import ENVIRONMENT, remote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet

pytestmark = pytest.mark.lab

PAGE = labels_of("SiteDown", ENVIRONMENT, instance="vip", job="probe-site", site="community")
EXPLAINED = labels_of("AppUnhealthy", ENVIRONMENT, instance="app-1", job="probe-app")
TICKET = labels_of("HostConntrackNearLimit", ENVIRONMENT, instance="app-2", job="node-metrics")
SILENCED = labels_of("HostClockUnsynced", ENVIRONMENT, instance="edge-2", job="node-metrics")
EVERY = (PAGE, EXPLAINED, TICKET, SILENCED)
SECONDS_TO_PEOPLE = 60.0
# what one group waits for its first mail, and between two (roles/monitoring)
GROUP_WAIT, GROUP_INTERVAL = 15.0, 60.0


@pytest.fixture(scope="module", name="alerts")
def fixture_alerts(fleet: Fleet) -> Iterator[Alerts]:
    """Return Alertmanager; whatever happens, no alert of this file is left in it."""
    alerts = Alerts(fleet)
    yield alerts
    for labels in EVERY:
        alerts.post(labels, "over", seconds=0)


@pytest.fixture(scope="module", name="inbox")
def fixture_inbox(fleet: Fleet, alerts: Alerts) -> Iterator[Inbox]:
    """Return what reached people since all alerts of this file were handed over, one of them silenced."""
    inbox = Inbox(fleet)
    inbox.wait_for_rest([labels["alertname"] for labels in EVERY], 2 * GROUP_INTERVAL + GROUP_WAIT)
    silence = alerts.api.add(["edge-2"], "test of delivery", 5)
    for labels in EVERY:
        alerts.post(labels, f"{labels['alertname']} of a test", seconds=600)
    yield inbox
    alerts.api.expire(silence)


def test_a_page_reaches_mail_and_phone_within_a_minute(alerts: Alerts, inbox: Inbox) -> None:
    """With host, impact and the command that names this very alert."""
    (mail,) = awaited(lambda: inbox.mails("SiteDown"), SECONDS_TO_PEOPLE, "the mail of the page")
    assert mail.subject == f"[PAGE] [{ENVIRONMENT}] SiteDown on vip"
    assert mail.to == f"platform@{ENVIRONMENT}.test"
    assert "SiteDown of a test\n测试" in mail.text
    command = f"  perennial runbook run SiteDown --env {ENVIRONMENT} --fingerprint"
    assert f"{command} {alerts.fingerprint(PAGE)}\n" in mail.text
    assert mail.time - inbox.start <= SECONDS_TO_PEOPLE
    (ring,) = awaited(lambda: inbox.webhooks("/phone", "SiteDown"), 10, "the call of the paging service")
    assert (ring["event_action"], ring["payload"]["severity"]) == ("trigger", "critical")
    assert ring["payload"]["summary"] == mail.subject


def test_a_ticket_is_mailed_and_rings_no_phone(inbox: Inbox) -> None:
    """It is for work hours."""
    (mail,) = awaited(
        lambda: inbox.mails("HostConntrackNearLimit on app-2"), SECONDS_TO_PEOPLE, "the ticket's mail"
    )
    assert mail.subject.startswith("[TICKET]")
    assert not inbox.webhooks("/phone", "HostConntrackNearLimit")


def test_what_is_explained_or_silenced_is_not_told(inbox: Inbox) -> None:
    """One trouble, one message; and no message about work that somebody is doing."""
    time.sleep(max(0.0, inbox.start + 2 * GROUP_WAIT - time.time()))
    assert inbox.mails("SiteDown"), "nothing was told at all"
    assert not inbox.mails("AppUnhealthy")
    assert not inbox.mails("HostClockUnsynced")


def test_silences_say_who_why_and_until_when(fleet: Fleet, alerts: Alerts, inbox: Inbox) -> None:
    """Whoever is on call finds it there."""
    del inbox  # only that the silence is there
    listed = alerts.api.client.get(f"{alerts.api.base}/silences").raise_for_status().json()
    (found,) = [one for one in listed if one["status"]["state"] == "active"]
    assert found["comment"] == "test of delivery"
    assert found["createdBy"]
    assert found["endsAt"] > found["startsAt"]
    assert found["matchers"][0]["value"] == "edge-2"
    assert fleet.platform.name == ENVIRONMENT


def test_the_end_is_told_and_what_was_held_back_comes_then(alerts: Alerts, inbox: Inbox) -> None:
    """The control of inhibition and silence: without them both alerts do reach people."""
    (silence,) = [
        one["id"]
        for one in alerts.api.client.get(f"{alerts.api.base}/silences").json()
        if one["status"]["state"] == "active"
    ]
    alerts.post(PAGE, "SiteDown of a test", seconds=0)
    alerts.api.expire(silence)
    within = GROUP_INTERVAL + GROUP_WAIT + 15
    (over,) = awaited(
        lambda: inbox.mails(f"[RESOLVED] [{ENVIRONMENT}] SiteDown"), within, "the mail of the end"
    )
    assert over.subject == f"[RESOLVED] [{ENVIRONMENT}] SiteDown on vip"
    assert "nothing to do" in over.text
    assert awaited(lambda: inbox.mails("AppUnhealthy"), within, "what the page explained")
    assert awaited(lambda: inbox.mails("HostClockUnsynced"), within, "what was silenced")
    rings = inbox.webhooks("/phone", "SiteDown")
    assert [ring["event_action"] for ring in rings] == ["trigger", "resolve"]


def test_no_key_of_a_receiver_is_in_the_log_of_webhooks(fleet: Fleet, inbox: Inbox) -> None:
    """A paging service is known by a key in the body."""
    (ring, *_) = inbox.webhooks("/phone", "SiteDown")
    assert ring["routing_key"] == "(left out)"
    assert fleet.secret("paging-key")["value"] not in json.dumps(inbox.webhooks("/phone", ""))


def test_the_watchdog_reaches_the_switch_each_minute(fleet: Fleet) -> None:
    """Evaluated within the last minute and a half, seen by the switch, read by Prometheus's exporter."""
    host = remote(fleet, fleet.platform.with_role("deadman")[0].name)

    def seen() -> list[float]:
        lines = host.check_output("cat /var/lib/perennial/metrics/deadman.prom").splitlines()
        values = dict(line.split() for line in lines if not line.startswith("#"))
        last = float(values["perennial_watchdog_last_seen_timestamp_seconds"])
        now = float(host.check_output("date +%s"))
        return [last] if now - last <= 90 else []

    (first,) = awaited(seen, 90, "a Watchdog")
    assert awaited(lambda: [last for last in seen() if last > first], 90, "the next Watchdog")
