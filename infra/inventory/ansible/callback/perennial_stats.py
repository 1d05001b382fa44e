# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible callback: the outcome of a run as JSON in the file named by PERENNIAL_STATS, for programs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: perennial_stats
type: notification
short_description: outcome of a run as JSON
description:
  - Writes each host's counts, and the names of tasks that changed or failed there, to the file named by
    the environment variable C(PERENNIAL_STATS). Results of tasks are left out, they may hold secrets.
"""

COUNTS = ("ok", "changed", "failures", "dark", "skipped", "rescued", "ignored")


class CallbackModule(CallbackBase):
    """Collect what changed and what failed; write it once, at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "perennial_stats"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.changed: dict[str, list[str]] = {}
        self.failed: dict[str, list[str]] = {}

    def v2_runner_on_ok(self, result: Any) -> None:
        """Remember a task that changed its host."""
        if result._result.get("changed"):  # noqa: SLF001 - the callback interface has no public way
            self._remember(self.changed, result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Remember a task that failed and was not meant to."""
        if not ignore_errors:
            self._remember(self.failed, result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Remember a host that did not answer."""
        self._remember(self.failed, result)

    @staticmethod
    def _remember(found: dict[str, list[str]], result: Any) -> None:
        task, host = result._task.get_name(), result._host.get_name()  # noqa: SLF001
        found.setdefault(host, []).append(task)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Write the file; without the variable there is nothing to do."""
        target = os.environ.get("PERENNIAL_STATS")
        if not target:
            return
        hosts = {
            host: {
                **{name: getattr(stats, name).get(host, 0) for name in COUNTS},
                "changed_tasks": self.changed.get(host, []),
                "failed_tasks": self.failed.get(host, []),
            }
            for host in sorted(stats.processed)
        }
        Path(target).write_text(json.dumps({"schema": "ansible-stats/1", "hosts": hosts}), "utf-8")
