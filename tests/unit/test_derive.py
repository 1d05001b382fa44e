# SPDX-License-Identifier: Apache-2.0
"""What follows from the description holds for every shape of platform, not only for the shipped one."""

from __future__ import annotations

import tempfile
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from infra.inventory.variables import host_variables
from infra.spec import INVENTORIES, Platform, derive, load
from infra.spec.sizing import php_workers, sizing

TIERS = ("edge", "app", "database", "monitoring", "logs", "control")


@st.composite
def environments(draw: st.DrawFn) -> dict[str, Any]:
    """Return an environment file with any number of hosts a role, shared hosts, and disabled ones."""
    data: dict[str, Any] = YAML(typ="safe").load((INVENTORIES / "lab.yml").read_text("utf-8"))
    hosts: dict[str, Any] = {}
    address = IPv4Address("10.87.0.20")
    for role in ("edge", "app", "database", "monitoring", "control"):
        for index in range(draw(st.integers(1, 4))):
            address += 1
            roles = [role, "logs"] if role == "monitoring" else [role]
            if role == "monitoring" and draw(st.booleans()):
                roles.append("control")
            size = draw(st.sampled_from(["medium", "large"]))
            # the first of a role stays enabled: a role without an enabled host is refused
            disabled = index > 0 and draw(st.booleans())
            hosts[f"{role}-{index + 1}"] = {
                "address": str(address), "size": size, "roles": roles, "disabled": disabled,
            }  # fmt: skip
    return data | {"hosts": hosts}


def built(data: dict[str, Any]) -> Platform:
    """Return the validated platform of an environment file beside the shipped platform files."""
    with tempfile.TemporaryDirectory() as folder:
        inventories = Path(folder)
        (inventories / "platform").symlink_to(INVENTORIES / "platform")
        with (inventories / "lab.yml").open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(data, file)
        return load("lab", inventories)


def by_address(platform: Platform) -> dict[str, Any]:
    """Return address → host; the virtual address stands for every edge and is left out."""
    return {host.address: host for host in platform.hosts.values()}


PROPERTY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PROPERTY
@given(environments())
def test_what_one_host_may_open_the_other_accepts_and_the_reverse(data: dict[str, Any]) -> None:
    """A rule on one side only is a connection that times out, or a door that nobody needs."""
    platform = built(data)
    known = by_address(platform)
    opened, accepted = set(), set()
    for host in platform.hosts.values():
        for rule in derive.outbound(platform, host):
            opened |= {(host.address, peer, rule.protocol, rule.port) for peer in rule.peers if peer in known}
        for rule in derive.inbound(platform, host):
            accepted |= {
                (peer, host.address, rule.protocol, rule.port) for peer in rule.peers if peer in known
            }
    assert opened == accepted
    assert opened


@PROPERTY
@given(environments())
def test_only_edges_are_open_to_anywhere(data: dict[str, Any]) -> None:
    """The public meets HAProxy and nothing else."""
    platform = built(data)
    public = {
        (role, rule.service)
        for host in platform.hosts.values()
        for rule in derive.inbound(platform, host)
        for role in host.roles[1:]
        if derive.ANY in rule.peers
    }
    assert public == {("edge", "http"), ("edge", "https")}


@PROPERTY
@given(environments())
def test_no_host_needs_a_rule_to_reach_itself(data: dict[str, Any]) -> None:
    """Loopback is open anyway; a rule for it would hide a mistake."""
    platform = built(data)
    for host in platform.hosts.values():
        rules = [*derive.inbound(platform, host), *derive.outbound(platform, host)]
        assert all(host.address not in rule.peers for rule in rules)


@PROPERTY
@given(environments())
def test_every_scrape_target_is_reachable_from_monitoring(data: dict[str, Any]) -> None:
    """A target behind a closed port is an alert at night for nothing."""
    platform = built(data)
    for monitor in platform.with_role("monitoring"):
        open_ports = {(peer, rule.port) for rule in derive.outbound(platform, monitor) for peer in rule.peers}
        for target in derive.scrape_targets(platform):
            assert target.address == monitor.address or (target.address, target.port) in open_ports


@PROPERTY
@given(environments())
def test_each_task_runs_where_it_belongs_and_nowhere_twice(data: dict[str, Any]) -> None:
    """`one_of` means one; disabled hosts run nothing; unit names never clash on a host."""
    platform = built(data)
    carriers: dict[str, set[str]] = {}
    for host in platform.hosts.values():
        tasks = derive.tasks_on(platform, host)
        assert not (tasks and host.disabled)
        assert len({task.unit for task in tasks}) == len(tasks)
        for task in tasks:
            assert "{site}" not in " ".join(task.command)
            carriers.setdefault(task.id, set()).add(host.name)
    assert set(carriers) == set(platform.tasks)
    for name, definition in platform.tasks.items():
        if definition.hosts.one_of:
            assert len(carriers[name]) == 1


@PROPERTY
@given(environments())
def test_sizes_fit_into_the_host_they_are_for(data: dict[str, Any]) -> None:
    """A pool larger than the memory ends in the kernel's hands."""
    platform = built(data)
    workers = sum(php_workers(host) for host in platform.with_role("app"))
    for host in platform.hosts.values():
        sizes = sizing(platform, host)
        assert sizes.get("innodb_buffer_pool_mib", 0) < host.size.memory_mib
        assert sizes.get("php_workers", 2) >= 2
        if "database" in host.roles:
            assert sizes["max_connections"] > workers


@PROPERTY
@given(environments())
def test_a_host_learns_only_the_secrets_of_its_roles(data: dict[str, Any]) -> None:
    """Taking over an edge must not give the database away."""
    platform = built(data)
    for host in platform.hosts.values():
        given_names = set(host_variables(platform, host)["secrets"])
        for name in given_names:
            assert set(platform.secrets[name].readers) & set(host.roles)
        assert "ssh-operator" not in given_names


def test_a_flow_missing_on_one_side_would_be_seen() -> None:
    """The positive control of the first property: the two sides are computed apart and compared."""
    platform = load("lab")
    edge, app = platform.hosts["edge-1"], platform.hosts["app-1"]
    assert any(
        rule.service == "app" and app.address in rule.peers for rule in derive.outbound(platform, edge)
    )
    assert not any(rule.service == "app" for rule in derive.inbound(platform, edge))
