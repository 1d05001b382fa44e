# SPDX-License-Identifier: Apache-2.0
"""Rules of every host of every environment: accepted by nft, closed by default, never shut to operators."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from infra.spec import load
from tests.templates.rendering import render, variables_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.templates.debian13 import Tools

HOSTS = [(environment, host) for environment in ("lab", "test") for host in load(environment).hosts]


def chain(rules: str, name: str) -> list[str]:
    """Return the lines of one chain."""
    body = re.search(rf"chain {name} {{\n(.*?)\n  }}", rules, re.DOTALL)
    assert body is not None
    return [line.strip() for line in body[1].splitlines()]


def accepted(environment: str, host: str, name: str) -> list[str]:
    """Return the lines of a host's chain that accept something."""
    rules = render("firewall", "nftables.conf.j2", variables_of(host, environment))
    return [line for line in chain(rules, name) if "accept" in line]


def test_nft_accepts_the_rules_of_every_host(debian13_tools: Tools, tmp_path: Path) -> None:
    """A host whose rules do not load keeps the old ones, and nobody notices."""
    for environment, host in HOSTS:
        rules = render("firewall", "nftables.conf.j2", variables_of(host, environment))
        (tmp_path / f"{environment}-{host}.conf").write_text(rules)
    (tmp_path / "broken.conf").write_text("table inet perennial { chain input { tcp dport } }\n")
    command = "for file in /test/*; do nft --check --file $file 2>/dev/null || echo $(basename $file); done"
    result = debian13_tools.run(["sh", "-c", command], mounts={tmp_path: "/test"})
    assert result.stdout.split() == ["broken.conf"], result


@pytest.mark.parametrize(("environment", "host"), HOSTS)
def test_every_direction_drops_what_no_rule_names(environment: str, host: str) -> None:
    """Default deny, out as well as in: what is broken into must not call home."""
    rules = render("firewall", "nftables.conf.j2", variables_of(host, environment))
    for name in ("input", "output", "forward"):
        assert f"hook {name} priority filter; policy drop;" in chain(rules, name)[0]


@pytest.mark.parametrize(("environment", "host"), HOSTS)
def test_operators_come_first_and_need_no_connection_tracking(environment: str, host: str) -> None:
    """A connection from before the first load is unknown to connection tracking and must survive it."""
    operators = [str(address) for address in load(environment).environment.network.operators]
    inbound, outbound = accepted(environment, host, "input"), accepted(environment, host, "output")
    for operator in operators:
        assert operator in inbound[0]
        assert 'tcp dport 22 accept comment "ssh"' in inbound[0]
        assert operator in outbound[0]
        assert "tcp sport 22 accept" in outbound[0]


@pytest.mark.parametrize(("environment", "host"), HOSTS)
def test_only_the_public_ports_are_open_to_anybody(environment: str, host: str) -> None:
    """A rule without addresses is open to the world."""
    for line in accepted(environment, host, "input"):
        if "dport" in line and "saddr" not in line:
            assert "edge" in load(environment).hosts[host].roles, line
            assert re.search(r"tcp dport (80|443) ", line), line


def test_the_database_is_reached_by_its_peers_alone() -> None:
    """An application host talks to the listener, never to a database host."""
    platform = load("lab")
    (rules,) = [accepted("lab", host.name, "input") for host in platform.with_role("database")[:1]]
    mariadb = " ".join(line for line in rules if "dport 3306" in line)
    for app in platform.with_role("app"):
        assert not re.search(rf"\b{re.escape(app.address)}\b", mariadb)
    for edge in platform.with_role("edge"):
        assert re.search(rf"\b{re.escape(edge.address)}\b", mariadb)


def test_advertisements_of_the_virtual_address_leave_an_edge() -> None:
    """They go to a group address that is no peer's; without them both edges hold the virtual address."""
    assert any("224.0.0.18" in line for line in accepted("lab", "edge-1", "output"))
    assert not any("224.0.0.18" in line for line in accepted("lab", "app-1", "output"))
