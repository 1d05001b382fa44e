# SPDX-License-Identifier: Apache-2.0
"""The log store as senders meet it: ours arrive under their own name, nobody else gets a line in."""

from __future__ import annotations

import json
import shlex
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.lab_session import remote

if TYPE_CHECKING:
    from testinfra.host import Host as RemoteHost

    from infra.inventory import Fleet
    from infra.spec import Host, Platform
    from loadtests.probe import Target

pytestmark = pytest.mark.role("logs")

STORE = "/var/log/perennial"
LOCAL = "/var/log/haproxy.log"  # an edge's own copy, begun anew at 16 MiB
LOCAL_BYTES = 17 * 2**20


def find(host: RemoteHost, token: str, seconds: float = 15) -> list[dict[str, Any]]:
    """Return the stored lines with `token`, waiting for the first."""
    end = time.monotonic() + seconds
    while True:
        result = host.run(f"grep -rhF {token} {STORE} --include=*.log")
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        lines = [line for line in lines if token == line["message"].strip()]
        if lines or time.monotonic() > end:
            return lines
        time.sleep(0.5)


def send(sender: RemoteHost, store: Host, port: int, token: str, certificate: str = "") -> None:
    """Send one line that claims to come from another host, over TLS with or without a certificate."""
    options = f"-cert {certificate}.crt -key {certificate}.key" if certificate else ""
    line = f"<13>1 2026-01-01T00:00:00Z claimed test - - - {token}"
    connect = f"timeout 5 openssl s_client -quiet -connect {store.fqdn}:{port} {options}"
    sender.run(f"sh -c {shlex.quote(f'(echo {shlex.quote(line)}; sleep 1) | {connect}')}")


def test_every_host_is_kept_under_its_own_name(host: RemoteHost, fleet: Fleet, platform: Platform) -> None:
    """A host without lines cannot be audited."""
    tokens = {name: uuid.uuid4().hex for name, each in platform.hosts.items() if not each.disabled}
    for name, token in tokens.items():
        remote(fleet, name).check_output(f"logger --tag test {token}")
    for name, token in tokens.items():
        assert [line["host"] for line in find(host, token)] == [name]


def test_the_access_log_of_every_edge_arrives_whole(
    host: RemoteHost, fleet: Fleet, platform: Platform, site: Target
) -> None:
    """300 requests in a burst are 300 lines: a journal's rate limit drops most of such a burst.

    The edge's own copy has them once, and does not fill its disk.
    """
    for edge in platform.with_role("edge", enabled_only=True):
        token = uuid.uuid4().hex
        with httpx.Client(verify=site.context(), timeout=10) as client:
            for _ in range(300):
                client.get(
                    f"https://{edge.address}/",
                    headers={"Host": site.domain, "User-Agent": token},
                    extensions={"sni_hostname": site.domain},
                )
        end = time.monotonic() + 15
        while (lines := access_lines(host, token)) != [edge.name] * 300 and time.monotonic() < end:
            time.sleep(0.5)
        assert lines == [edge.name] * 300
        here = remote(fleet, edge.name)
        assert here.check_output(f"grep -cF {token} {LOCAL}") == "300"
        assert here.file(LOCAL).size < LOCAL_BYTES


def access_lines(host: RemoteHost, agent: str) -> list[str]:
    """Return for each stored access line of a user agent the host under whose name it is kept."""
    found = host.run(f"grep -rhF {agent} {STORE} --include=*.log").stdout.splitlines()
    lines = [line for line in map(json.loads, found) if line["program"] == "haproxy"]
    return [line["host"] for line in lines if json.loads(line["message"])["agent"] == agent]


def test_a_sender_without_a_certificate_gets_no_line_in(
    host: RemoteHost, spec_host: Host, platform: Platform
) -> None:
    """TLS alone would only hide what a stranger writes."""
    token = uuid.uuid4().hex
    send(host, spec_host, platform.services["log-intake"].port, token)
    assert find(host, token, seconds=3) == []


def test_a_certificate_with_another_name_gets_no_line_in(
    host: RemoteHost, spec_host: Host, fleet: Fleet, platform: Platform
) -> None:
    """A site's is of our authority too. Several tries: a check that races would let some in."""
    edge = remote(fleet, platform.with_role("edge")[0].name)
    port, site = platform.services["log-intake"].port, next(iter(platform.sites))
    known, others = uuid.uuid4().hex, [uuid.uuid4().hex for _ in range(5)]
    send(edge, spec_host, port, known, "/etc/perennial/tls/host")
    assert len(find(host, known)) == 1, "the positive control did not arrive"
    for token in others:
        send(edge, spec_host, port, token, f"/etc/perennial/tls/site-{site}")
    assert [find(host, token, seconds=1) for token in others] == [[]] * len(others)


def test_a_host_cannot_write_under_anothers_name(
    host: RemoteHost, spec_host: Host, fleet: Fleet, platform: Platform
) -> None:
    """The message claims a host; the address decides."""
    edge = platform.with_role("edge")[0].name
    token = uuid.uuid4().hex
    send(
        remote(fleet, edge), spec_host, platform.services["log-intake"].port, token, "/etc/perennial/tls/host"
    )
    assert [line["host"] for line in find(host, token)] == [edge]


def test_housekeeping_keeps_200_days_and_says_so(host: RemoteHost) -> None:
    """As systemd runs it, and as the metrics tell."""
    host.check_output("systemctl start log-store.service")
    assert host.service("log-store.timer").is_running
    metrics = host.file("/var/lib/perennial/metrics/log-store.prom").content_string
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    assert float(values["perennial_log_retention_seconds"]) >= 200 * 86400
    assert values["perennial_log_store_full"] == "0"
    assert any(name.startswith("perennial_log_last_received_timestamp_seconds") for name in values)


def test_the_store_is_closed_to_other_accounts(host: RemoteHost) -> None:
    """Logs hold personal data."""
    assert host.file(STORE).mode == 0o750
    assert host.check_output(f"find {STORE} -perm /007 -print") == ""
