# SPDX-License-Identifier: Apache-2.0
"""pyinfra's inventory: `pyinfra infra/inventory/pyinfra_hosts.py exec -- uptime` (PERENNIAL_ENV or lab).

The same reader, hosts, groups and variables as the Ansible plugin beside it; names are plain host names, so
that `--limit app-1` and `--limit edge` work.
"""

from __future__ import annotations

import os
from typing import Any

from infra.fleet.pyinfra_registration import register
from infra.inventory.fleet import Fleet, read_fleet
from infra.inventory.variables import connection_variables, host_variables


def groups_of(fleet: Fleet) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return what pyinfra reads: `all`, one group for each role, and `disabled`, of (name, variables)."""
    hosts = {}
    for host in fleet.platform.hosts.values():
        machine = fleet.document.hosts[host.name]
        reach = (machine.user, machine.address, machine.port, str(fleet.key_file), str(fleet.known_hosts))
        variables = connection_variables(*reach) | {"perennial": host_variables(fleet.platform, host)}
        hosts[host.name] = (f"@openssh/{host.name}", variables)
    groups = {"all": list(hosts.values())}
    for role in fleet.platform.roles:
        groups[role] = [hosts[host.name] for host in fleet.platform.with_role(role)]
    groups["disabled"] = [hosts[host.name] for host in fleet.platform.hosts.values() if host.disabled]
    return groups


# pyinfra executes this file instead of importing it, which leaves it without a name of its own.
if globals().get("__name__") != "infra.inventory.pyinfra_hosts":
    register()
    globals().update(groups_of(read_fleet(os.environ.get("PERENNIAL_ENV", "lab"))))
