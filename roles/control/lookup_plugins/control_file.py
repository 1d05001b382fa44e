# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible lookup: the files by which a control host knows the fleet, in place of a Pulumi state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from infra.inventory import Fleet, read_fleet
from infra.inventory.fleet import CONTROL_USER

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENTATION = """
name: control_file
short_description: files of a control host
description:
  - Returns the text of C(fleet.json), C(secrets.json), C(id_ed25519) or C(known_hosts). Tasks need C(no_log).
options:
  _terms: {description: names of files, required: true}
"""

# the key of whoever acts from outside stays outside: a control host has one of its own. Its public half is
# what hosts let in, so that a converge from here must know it.
OUTSIDE_ONLY = ("ssh-operator",)
PUBLIC = ("kind", "public_key")


def fleet_document(fleet: Fleet) -> str:
    """Return the fleet document, without secret values, with the account that control hosts use."""
    data = fleet.document.model_dump(mode="json", by_alias=True)
    data["hosts"] = {name: host | {"user": CONTROL_USER} for name, host in data["hosts"].items()}
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def secret_values(fleet: Fleet) -> str:
    """Return the values of all secrets, of keys that stay outside the public half."""
    kept = {
        name: {part: text for part, text in value.items() if name not in OUTSIDE_ONLY or part in PUBLIC}
        for name, value in fleet.secret_values.items()
    }
    return json.dumps(kept, indent=1, sort_keys=True) + "\n"


FILES: dict[str, Callable[[Fleet], str]] = {
    "fleet.json": fleet_document,
    "secrets.json": secret_values,
    "id_ed25519": lambda fleet: fleet.secret("ssh-control")["private_key"],
    "known_hosts": lambda fleet: fleet.known_hosts.read_text("utf-8"),
}


class LookupModule(LookupBase):
    """Render the files from the fleet that the inventory plugin has read already."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return one text for each name."""
        self.set_options(var_options=variables, direct=kwargs)
        unknown = [name for name in terms if name not in FILES]
        if unknown:
            raise AnsibleLookupError(f"no file {unknown[0]!r}; there are: {', '.join(FILES)}")
        fleet = read_fleet((variables or {})["perennial"]["environment"]["name"])
        return [FILES[name](fleet) for name in terms]
