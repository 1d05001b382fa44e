# SPDX-License-Identifier: Apache-2.0
"""The dead man's switch and the mail sink as who sends to them meets them, and as the exporter reads them."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host as RemoteHost

    from infra.inventory import Fleet
    from infra.spec import Host, Platform

pytestmark = pytest.mark.role("deadman")

POST = """
import ssl, sys, urllib.error, urllib.request
url, token = sys.argv[1], sys.stdin.read().strip()
alert = b'{"status": "firing", "labels": {"alertname": "Watchdog"}, "annotations": {"evaluated": "1"}}'
body = b'{"alerts": [' + alert + b']}'
request = urllib.request.Request(url, body, {"Authorization": "Bearer " + token})
context = ssl.create_default_context(cafile="/etc/perennial/tls/ca.crt")
try:
    print(urllib.request.urlopen(request, context=context, timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
SEND = """
import smtplib, ssl, sys
host, port, password = sys.argv[1], int(sys.argv[2]), sys.stdin.read().strip()
with smtplib.SMTP(host, port, timeout=10) as client:
    client.ehlo()
    plain = client.mail("a@b.test")[0]
    client.rset()
    client.starttls(context=ssl.create_default_context(cafile="/etc/perennial/tls/ca.crt"))
    client.ehlo()
    nobody = client.mail("a@b.test")[0]
    try:
        code = client.login("perennial", password)[0]
    except smtplib.SMTPAuthenticationError as error:
        code = error.smtp_code
print(plain, nobody, code)
"""
WORST_EXPOSURE = 2.0  # of `systemd-analyze security`; the page cache agent has 1.3


@pytest.mark.parametrize("right", [True, False])
def test_only_who_has_the_token_keeps_the_switch_quiet(
    host: RemoteHost, spec_host: Host, platform: Platform, *, right: bool
) -> None:
    """Over TLS that is verified for the host's name; the Watchdog that is sent was evaluated in 1970."""
    url = f"https://{spec_host.fqdn}:{platform.services['deadman'].port}/watchdog"
    token = "cat /etc/perennial/deadman-token" if right else "echo another"
    answer = host.check_output(f"sh -c {shlex.quote(f'{token} | python3 -c {shlex.quote(POST)} {url}')}")
    assert answer == ("200" if right else "401")


def test_node_exporter_reads_the_switch_as_alive(host: RemoteHost) -> None:
    """As the exporter's own user: a file that only root can read was missed once."""
    text = host.check_output("runuser -u prometheus -- cat /var/lib/perennial/metrics/deadman.prom")
    values = dict(line.split() for line in text.splitlines() if not line.startswith("#"))
    assert values["perennial_watchdog_relay_ok"] == "1"
    now = float(host.check_output("date +%s"))
    assert now - float(values["perennial_watchdog_checked_timestamp_seconds"]) < 60


def test_the_sink_takes_mail_only_over_tls_and_after_a_login(host: RemoteHost, platform: Platform) -> None:
    """What anybody could send, anybody could fill the disk with."""
    relay = platform.environment.smtp_relay
    assert relay is not None
    for password, code in (("cat /etc/perennial/deadman-relay", "235"), ("echo wrong", "535")):
        command = f"{password} | python3 -c {shlex.quote(SEND)} {relay.host} {relay.port}"
        assert host.check_output(f"sh -c {shlex.quote(command)}") == f"530 530 {code}"


@pytest.mark.parametrize("unit", ["perennial-deadman", "perennial-mail-sink"])
def test_the_units_are_confined(host: RemoteHost, unit: str) -> None:
    """They listen to the network and need nothing of the host but its certificate."""
    said = host.check_output(f"systemd-analyze security --no-pager {unit}.service")
    (exposure,) = re.findall(rf"Overall exposure level for {unit}.service: ([0-9.]+)", said)
    assert float(exposure) < WORST_EXPOSURE
    assert host.check_output(f"systemctl show --property=User --value {unit}.service") != "root"


def test_secrets_are_for_those_who_need_them(host: RemoteHost, fleet: Fleet) -> None:
    """Root alone; and neither value stands in an argument of a process or in the unit's log."""
    for name in ("deadman-token", "deadman-relay", "mail-sink-password"):
        file = host.file(f"/etc/perennial/{name}")
        assert (file.user, file.mode) == ("root", 0o600)
    shown = host.check_output(
        "ps -eo args; journalctl --no-pager -u perennial-deadman -u perennial-mail-sink"
    )
    for secret in ("deadman", "smtp-relay"):
        assert fleet.secret(secret)["value"] not in shown
