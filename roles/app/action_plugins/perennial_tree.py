# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible action: send whole trees of a role's files to a host in one call."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

JUNK = {"__pycache__", ".DS_Store"}


def read_tree(source: Path, dest: str) -> dict[str, str]:
    """Return path below the root on the host → content (base64) of `source`, a folder or a file."""
    if source.is_file():
        return {dest: base64.b64encode(source.read_bytes()).decode()}
    found = sorted(path for path in source.rglob("*") if path.is_file() and not JUNK & set(path.parts))
    return {
        f"{dest}/{path.relative_to(source)}": base64.b64encode(path.read_bytes()).decode() for path in found
    }


class ActionModule(ActionBase):
    """Read the trees here, let the module of the same name make the host equal to them."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result; fail where a tree is missing or empty."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        files: dict[str, str] = {}
        for dest, source in self._task.args["trees"].items():
            tree = read_tree(Path(self._find_needle("files", source)), dest)
            if not tree:
                raise AnsibleActionFail(f"tree {source!r} of the role has no file")
            files |= tree
        arguments = {"root": self._task.args["root"], "links": self._task.args["links"], "files": files}
        result |= self._execute_module(
            module_name="perennial_tree", module_args=arguments, task_vars=task_vars
        )
        return result
