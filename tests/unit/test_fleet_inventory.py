# SPDX-License-Identifier: GPL-3.0-or-later
"""One reader, two inventories: Ansible and pyinfra see the same platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from infra.spec import CHECKOUT
from tests.unit.fleet_world import fleet

# Each engine runs in a process of its own, as in use: both patch what the other relies on.
ANSIBLE = """
import json, sys
from pathlib import Path
from unittest import mock
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from ansible.plugins.loader import inventory_loader
from tests.unit.fleet_world import fleet
directory = Path(sys.argv[1])
made = fleet(directory)
plugin = inventory_loader.get("perennial")
with mock.patch.object(sys.modules[type(plugin).__module__], "read_fleet", lambda name: made):
    inventory = InventoryManager(loader=DataLoader(), sources=[], parse=False)
    plugin.parse(inventory._inventory, DataLoader(), str(directory / "inventories" / "unit.yml"))
inventory._inventory.reconcile_inventory()
hosts = {name: {k: v for k, v in host.vars.items() if not k.startswith("inventory_")}
         for name, host in inventory._inventory.hosts.items()}
groups = {name: sorted(h.name for h in g.get_hosts()) for name, g in inventory._inventory.groups.items()}
print(json.dumps({"hosts": hosts, "groups": groups}))
"""
PYINFRA = """
import json, sys
from pathlib import Path
import infra.inventory.fleet
from tests.unit.fleet_world import fleet
directory = Path(sys.argv[1])
made = fleet(directory)
infra.inventory.fleet.read_fleet = lambda name: made
from pyinfra.api import State
from pyinfra.context import ctx_state
from pyinfra_cli.inventory import make_inventory
with ctx_state.use(State()):
    inventory = make_inventory("infra/inventory/pyinfra_hosts.py")
connectors = {host.connector_cls.__name__ for host in inventory}
assert connectors == {"OpenSSHConnector"}, connectors
hosts = {host.name: inventory.get_host_data(host.name) for host in inventory}
groups = {name: sorted(host.name for host in members) for name, members in inventory.groups.items()}
print(json.dumps({"hosts": {name: dict(data) for name, data in hosts.items()}, "groups": groups}))
"""
OWN_GROUPS = {"all", "ungrouped", "pyinfra_hosts"}


def seen_by(program: str, directory: Path) -> dict[str, dict[str, object]]:
    """Return hosts with variables, and groups, as one engine sees them."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")}
    command = [sys.executable, "-c", program, str(directory)]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    found["groups"] = {
        name: members for name, members in found["groups"].items() if name not in OWN_GROUPS and members
    }
    return found


def test_ansible_and_pyinfra_see_the_same_hosts_groups_and_variables(tmp_path: Path) -> None:
    """A host that only one of them knows, or knows by another address, would be configured, never patched."""
    described = fleet(tmp_path).platform
    ansible, pyinfra = seen_by(ANSIBLE, tmp_path), seen_by(PYINFRA, tmp_path)
    assert set(ansible["hosts"]) == set(described.hosts)
    assert ansible["groups"]["disabled"] == ["app-3"]
    assert set(ansible["hosts"]) == set(pyinfra["hosts"])
    for name, variables in ansible["hosts"].items():
        assert pyinfra["hosts"][name] == variables, name
    assert pyinfra["groups"] == ansible["groups"]
