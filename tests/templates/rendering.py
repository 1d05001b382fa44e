# SPDX-License-Identifier: GPL-3.0-or-later
"""Role templates rendered by Ansible's own engine: an undefined name is an error as it is in a converge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from infra.inventory.variables import host_variables
from infra.spec import load

if TYPE_CHECKING:
    from collections.abc import Mapping

ROLES = Path(__file__).parents[2] / "roles"


def variables_of(host: str, environment: str = "lab") -> dict[str, Any]:
    """Return what a role sees on `host`: `perennial`, its name and the facts of its one interface."""
    platform = load(environment)
    address = str(platform.hosts[host].address)
    facts = {
        "interfaces": ["lo", "host0"],
        "host0": {"device": "host0", "ipv4": {"address": address}},
        "lo": {},
    }
    perennial = host_variables(platform, platform.hosts[host])
    return {"perennial": perennial, "inventory_hostname": host, "ansible_facts": facts}


def role_variables(role: str) -> dict[str, Any]:
    """Return the defaults and variables of a role, their templates not yet rendered."""
    loader = DataLoader()
    result: dict[str, Any] = {}
    for part in ("defaults", "vars"):
        file = ROLES / role / part / "main.yml"
        if file.exists():
            result |= loader.load_from_file(str(file), trusted_as_template=True) or {}
    return result


def render(role: str, template: str, variables: Mapping[str, Any]) -> str:
    """Return a template of a role, rendered with its defaults and `variables`; raise AnsibleError."""
    folder = ROLES / role / "templates"
    loader = DataLoader()
    loader.set_basedir(str(folder))
    known = {**role_variables(role), "ansible_managed": "Ansible managed", **variables}
    templar = Templar(loader=loader, variables=known)
    text = trust_as_template((folder / template).read_text())
    return str(templar.template(text, escape_backslashes=False))
