# SPDX-License-Identifier: Apache-2.0
"""The firewall as packets meet it: allowed ways are open, every other one is closed, in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.spec import derive

if TYPE_CHECKING:
    from testinfra.host import Host as RemoteHost

    from infra.spec import Host, Platform

pytestmark = pytest.mark.role("base")

# run on a host: tells for each address:port whether a connection is made
TRY = """
import socket, sys
for word in sys.argv[1:]:
    address, port = word.split(":")
    link = socket.socket(); link.settimeout(1.5)
    try:
        link.connect((address, int(port))); print(word, "open")
    except OSError:
        print(word, "closed")
"""


def tried(host: RemoteHost, words: list[str]) -> dict[str, str]:
    """Return address:port → open or closed, tried from `host`."""
    text = host.check_output(f"python3 -c '{TRY}' " + " ".join(words))
    return dict(line.split() for line in text.splitlines())


def test_the_kernel_has_the_rules_and_drops_by_default(host: RemoteHost) -> None:
    """A file that is not loaded keeps nobody out."""
    rules = host.check_output("nft list table inet perennial")
    assert rules.count("policy drop;") == 3
    assert host.check_output("systemctl is-enabled nftables.service") == "enabled"


def test_every_described_way_into_a_neighbour_is_open(
    host: RemoteHost, spec_host: Host, platform: Platform
) -> None:
    """A rule too few shows here and not at a failover."""
    words = {
        f"{peer}:{rule.port}"
        for rule in derive.outbound(platform, spec_host)
        for peer in rule.peers
        if rule.port and rule.service in {"node-metrics", "mariadb", "database-role", "log-intake", "ssh"}
    }
    closed = [word for word, state in tried(host, sorted(words)).items() if state == "closed"]
    assert not closed


def test_no_other_way_leads_out(host: RemoteHost, platform: Platform) -> None:
    """What is broken into must neither call home nor look around."""
    gateway = platform.environment.network.gateway
    before = host.check_output("nft list counter inet perennial dropped_out")
    assert set(tried(host, [f"{gateway}:22", f"{gateway}:9", "192.0.2.1:443"]).values()) == {"closed"}
    assert host.check_output("nft list counter inet perennial dropped_out") != before


def test_ssh_between_hosts_is_for_control_hosts(
    host: RemoteHost, spec_host: Host, platform: Platform
) -> None:
    """Whoever has one host must not go on to the next."""
    others = [f"{other.address}:22" for other in platform.hosts.values() if other.name != spec_host.name]
    expected = "open" if "control" in spec_host.roles else "closed"
    assert set(tried(host, others).values()) == {expected}
