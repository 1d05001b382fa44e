# SPDX-License-Identifier: Apache-2.0
"""What `make up` and `make down` are about to change on this machine, said before they do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.spec import Platform

# Measured by `make bench AREA=foundation` on 2 cores; shown as an expectation, never used to decide anything.
MINUTES_COLD, MINUTES_WARM = 14, 6
MEMORY_PER_HOST_MIB = 300
DISK_BASE_GIB, DISK_PER_HOST_GIB = 3, 0.5


def up_plan(platform: Platform) -> list[str]:
    """Return the lines that `make up` prints before it acts."""
    name, network = platform.name, platform.environment.network
    if platform.environment.substrate == "existing":
        return _existing_up(platform)
    hosts = len(platform.hosts)
    data = sum({v.name: v.size_gib for h in platform.hosts.values() for v in h.volumes}.values())
    return [
        f"bridge pl-{name} with subnet {network.subnet}; nftables table perennial_{name}",
        f"{hosts} systemd hosts in cgroups of their own: {', '.join(platform.hosts)}",
        f"images and mounts in /var/lib/perennial: {DISK_BASE_GIB + hosts * DISK_PER_HOST_GIB:.0f} GiB",
        f"data volumes there: {data} GiB at most, grown as they fill",
        f"about {hosts * MEMORY_PER_HOST_MIB / 1024:.0f} GiB of memory",
        "package cache on port 3143, in /var/cache/perennial",
        f"about {MINUTES_WARM} minutes, {MINUTES_COLD} where nothing is cached",
        f"to undo: make down{'' if name == 'lab' else f' ENV={name}'}",
    ]


def _existing_up(platform: Platform) -> list[str]:
    """Return what becomes of machines that are not ours: what roles take over, and what they expect."""
    name, network = platform.name, platform.environment.network
    operators = ", ".join(str(address) for address in network.operators)
    lines = [
        f"generate secrets for {name} and keep them encrypted in .state/",
        f"look at {len(platform.hosts)} hosts over SSH before any change: {', '.join(platform.hosts)}",
        "configure them: packages, accounts, /etc/hosts, SSH server, firewall (all other rules go)",
        f"afterwards SSH answers to {operators} and the control hosts only, by key only",
    ]
    for volume, about in platform.environment.volumes.items():
        carriers = [host.name for host in platform.with_role(about.role)]
        same = ", the same file system on all of them" if about.shared and len(carriers) > 1 else ""
        lines.append(f"expected there already: {about.path} ({volume}) on {', '.join(carriers)}{same}")
    return [*lines, "nothing undoes this: use machines that do nothing else"]


def down_plan(platform: Platform) -> list[str]:
    """Return the lines that `make down` prints before it acts."""
    name = platform.name
    if platform.environment.substrate == "existing":
        return [f"forget the secrets of {name} in .state/; the hosts and what is on them stay as they are"]
    return [
        f"end and remove the hosts {', '.join(platform.hosts)} with everything on them",
        f"remove the data volumes, secrets, bridge pl-{name} and nftables table perennial_{name}",
        "kept: .venv, .tools, and downloaded packages in /var/cache/perennial",
    ]
