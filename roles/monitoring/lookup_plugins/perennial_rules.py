# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible lookup: the rule groups of all Prometheus rule files under a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: perennial_rules
short_description: rule groups of all *.rules.yml under a folder
description:
  - Reads every C(*.rules.yml) under the folder, at any depth, in the order of their paths.
  - Two groups of one name, a file without groups and a folder without files are errors.
options:
  _terms: {description: folders, required: true}
"""


def groups_of(folder: Path) -> list[dict[str, Any]]:
    """Return the groups under `folder`; raise AnsibleLookupError for what Prometheus would leave out."""
    groups: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*.rules.yml")):
        found = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("groups", [])
        if not found:
            raise AnsibleLookupError(f"{path}: no rule groups")
        for group in found:
            if group["name"] in groups:
                raise AnsibleLookupError(f"{path}: group {group['name']!r} exists already")
            groups[group["name"]] = group
    if not groups:
        raise AnsibleLookupError(f"{folder}: no *.rules.yml")
    return list(groups.values())


class LookupModule(LookupBase):
    """Give the groups as one list."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return the groups of the folders in `terms`."""
        self.set_options(var_options=variables, direct=kwargs)
        return [group for folder in terms for group in groups_of(Path(folder))]
