# SPDX-License-Identifier: Apache-2.0
"""The monitoring host as its own interfaces tell: every target up, every probe green, every rule loaded."""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import yaml

from infra.spec import CHECKOUT, derive

if TYPE_CHECKING:
    from testinfra.host import Host as RemoteHost

    from infra.spec import Host, Platform

pytestmark = pytest.mark.role("monitoring")

FETCH = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile="/etc/perennial/tls/ca.crt")
print(urllib.request.urlopen(sys.argv[1], context=context, timeout=30).read().decode())
"""


def ask(host: RemoteHost, spec_host: Host, port: int, path: str) -> Any:
    """Return the JSON that a daemon of the host answers, over TLS verified for the host's name."""
    url = f"https://{spec_host.fqdn}:{port}{path}"
    return json.loads(host.check_output(f"python3 -c {shlex.quote(FETCH)} {shlex.quote(url)}"))


def query(host: RemoteHost, spec_host: Host, platform: Platform, expression: str) -> list[dict[str, Any]]:
    """Return the series of an instant query."""
    port = platform.services["prometheus"].port
    answer = ask(host, spec_host, port, f"/api/v1/query?query={quote(expression)}")
    series: list[dict[str, Any]] = answer["data"]["result"]
    return series


def settled(attempt: Any, seconds: float = 90) -> None:
    """Repeat `attempt` until it holds; a converge has just restarted what is scraped."""
    end = time.monotonic() + seconds
    while True:
        try:
            attempt()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(3)
        else:
            return


def test_every_described_target_is_up(host: RemoteHost, spec_host: Host, platform: Platform) -> None:
    """A target that is missing would raise no alert: it is compared with the description, not with itself."""
    wanted = {(target.job, target.host) for target in derive.scrape_targets(platform)}

    def attempt() -> None:
        up = {
            (each["metric"]["job"], each["metric"]["instance"])
            for each in query(host, spec_host, platform, "up == 1")
        }
        assert wanted <= up, f"not up: {sorted(wanted - up)}"

    settled(attempt)


def test_every_probe_succeeds(host: RemoteHost, spec_host: Host, platform: Platform) -> None:
    """Through the virtual address, each edge, over the redirect, of each app host, of each certificate."""
    edges, apps, hosts = (
        len(platform.with_role(role, enabled_only=True)) for role in ("edge", "app", "base")
    )
    expected = len(platform.sites) * (2 + edges) + apps + hosts

    def attempt() -> None:
        probes = query(host, spec_host, platform, "probe_success")
        failed = [each["metric"] for each in probes if each["value"][1] != "1"]
        assert (len(probes), failed) == (expected, [])

    settled(attempt)


def test_a_site_with_another_text_is_seen(host: RemoteHost, spec_host: Host, platform: Platform) -> None:
    """Positive control of the probes: a page that answers 200 with a wrong body is down."""
    fqdn, port = spec_host.fqdn, platform.services["probes"].port
    module = f"site_{next(iter(platform.sites))}"
    target = quote(f"https://{fqdn}:{platform.services['prometheus'].port}/-/ready", safe="")
    url = f"https://{fqdn}:{port}/probe?module={module}&target={target}&hostname={fqdn}"
    text = host.check_output(f"python3 -c {shlex.quote(FETCH)} {shlex.quote(url)}")
    assert "probe_http_status_code 200" in text
    assert "probe_failed_due_to_regex 1" in text
    assert "probe_success 0" in text


def test_every_alert_of_the_checkout_is_loaded(host: RemoteHost, spec_host: Host, platform: Platform) -> None:
    """An alert that is written and not loaded protects nobody."""
    written = {
        rule["alert"]
        for path in (CHECKOUT / "alerts").rglob("*.rules.yml")
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    groups = ask(host, spec_host, platform.services["prometheus"].port, "/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in rules if rule["type"] == "alerting"} == written
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []


def test_alerts_arrive_at_alertmanager(host: RemoteHost, spec_host: Host, platform: Platform) -> None:
    """The watchdog always fires, so that its absence tells of a broken way."""

    def attempt() -> None:
        alerts = ask(host, spec_host, platform.services["alertmanager"].port, "/api/v2/alerts")
        assert "Watchdog" in {alert["labels"]["alertname"] for alert in alerts}

    settled(attempt)


def test_samples_are_kept_as_described(host: RemoteHost, spec_host: Host, platform: Platform) -> None:
    """Objectives look back 30 days; the size limit keeps the disk from filling."""
    flags = ask(host, spec_host, platform.services["prometheus"].port, "/api/v1/status/flags")["data"]
    assert flags["storage.tsdb.retention.time"] != "0s"
    assert flags["storage.tsdb.retention.size"] not in {"0B", ""}


@pytest.mark.parametrize("service", ["prometheus", "alertmanager", "probes"])
def test_clear_text_is_refused(host: RemoteHost, spec_host: Host, platform: Platform, service: str) -> None:
    """Go's server answers HTTP on a TLS port with 400 and nothing else."""
    url = f"http://{spec_host.fqdn}:{platform.services[service].port}/metrics"
    result = host.run(f"python3 -c {shlex.quote(FETCH)} {shlex.quote(url)}")
    assert result.rc != 0
    assert "400" in result.stderr
