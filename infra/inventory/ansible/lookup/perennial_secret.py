# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible lookup: the value of a secret, for hosts whose roles may read it."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from infra.inventory import FleetError, read_fleet

DOCUMENTATION = """
name: perennial_secret
short_description: value of a generated secret
description:
  - Returns one field of a secret that inventories/platform/secrets.yml lets one of the host's roles read.
  - Tasks that use it need C(no_log).
options:
  _terms: {description: name of the secret, required: true}
  field: {description: which part of it, default: value}
  as_controller: {description: for actions on the controller itself, type: bool, default: false}
"""


class LookupModule(LookupBase):
    """Look secrets up in the fleet that the inventory plugin has read already."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the values of `terms`; raise where the host may not read one."""
        self.set_options(var_options=variables, direct=kwargs)
        perennial = (variables or {})["perennial"]
        values = []
        for name in terms:
            if name not in perennial["secrets"] and not self.get_option("as_controller"):
                raise AnsibleLookupError(f"secret {name!r} is not for host {perennial['host']['name']!r}")
            try:
                values.append(
                    read_fleet(perennial["environment"]["name"]).secret(name)[self.get_option("field")]
                )
            except FleetError as error:
                raise AnsibleLookupError(str(error)) from error
        return values
