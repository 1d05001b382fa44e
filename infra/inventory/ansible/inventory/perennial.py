# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible inventory plugin: `ansible-playbook -i inventories/lab.yml site.yml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

from infra.inventory import FleetError, read_fleet
from infra.inventory.variables import connection_variables, host_variables
from infra.spec import SpecError

DOCUMENTATION = """
name: perennial
short_description: hosts, groups and variables of a Perennial environment
description:
  - Reads inventories/<environment>.yml and the substrate's fleet document.
  - Groups are the roles; C(disabled) holds hosts that automation leaves alone.
options:
  plugin:
    description: must be C(perennial)
    required: true
    choices: [perennial]
"""


class InventoryModule(BaseInventoryPlugin):
    """Give Ansible the hosts of one environment file."""

    NAME = "perennial"

    def verify_file(self, path: str) -> bool:
        """Accept environment files only: YAML beside the directory `platform`."""
        file = Path(path)
        return file.suffix == ".yml" and (file.parent / "platform").is_dir()

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory; bad descriptions and unknown machines are parser errors."""
        super().parse(inventory, loader, path, cache)
        try:
            fleet = read_fleet(Path(path).stem)
        except (SpecError, FleetError) as error:
            raise AnsibleParserError(str(error)) from error
        for role in [*fleet.platform.roles, "disabled"]:
            self.inventory.add_group(role)
        for host in fleet.platform.hosts.values():
            self.inventory.add_host(host.name)
            for group in [*host.roles, *(["disabled"] if host.disabled else [])]:
                self.inventory.add_child(group, host.name)
            machine = fleet.document.hosts[host.name]
            reach = (machine.user, machine.address, machine.port, str(fleet.key_file), str(fleet.known_hosts))
            for key, value in connection_variables(*reach).items():
                self.inventory.set_variable(host.name, key, value)
            self.inventory.set_variable(host.name, "perennial", host_variables(fleet.platform, host))
