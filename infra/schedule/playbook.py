# SPDX-License-Identifier: Apache-2.0
"""The playbook run by a program: its outcome as numbers, read from our callback, not from text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.fleet.exits import Exit, PerennialError
from infra.spec import CHECKOUT, SpecError, load

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLBACKS = CHECKOUT / "infra" / "inventory" / "ansible" / "callback"


@dataclass(frozen=True)
class Outcome:
    """What a playbook run did: names of tasks by host, and Ansible's exit code."""

    hosts: tuple[str, ...]
    changed: Mapping[str, tuple[str, ...]]
    failed: Mapping[str, tuple[str, ...]]
    exit_code: int

    @property
    def items(self) -> dict[str, int]:
        """Return what a scheduled task reports: counts of hosts seen, changed, failed."""
        return {"hosts": len(self.hosts), "changed": len(self.changed), "failed": len(self.failed)}

    def lines(self) -> list[str]:
        """Return one line for each task that changed or failed."""
        found = [f"{host}: failed: {task}" for host, tasks in sorted(self.failed.items()) for task in tasks]
        found += [
            f"{host}: changed: {task}" for host, tasks in sorted(self.changed.items()) for task in tasks
        ]
        return found


def parse(document: Mapping[str, Any], exit_code: int) -> Outcome:
    """Return the outcome in a document `ansible-stats/1`; counts without a task's name still count."""
    changed, failed = {}, {}
    for host, stats in document["hosts"].items():
        if stats["changed"]:
            changed[host] = tuple(stats["changed_tasks"]) or ("a task without name",)
        if stats["failures"] or stats["dark"]:
            failed[host] = tuple(stats["failed_tasks"]) or ("a task without name",)
    return Outcome(tuple(document["hosts"]), changed, failed, exit_code)


def play(environment: str, *arguments: str, checkout: Path = CHECKOUT) -> Outcome:
    """Run site.yml on `environment`; its own output goes to stderr as it comes.

    Raises PerennialError where Ansible ends without an outcome, or with one that leaves hosts out.
    """
    with tempfile.TemporaryDirectory(prefix="perennial-play-") as folder:
        stats = Path(folder) / "stats.json"
        command = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            f"inventories/{environment}.yml",
        ]
        command += ["site.yml", *arguments]
        done = subprocess.run(command, cwd=checkout, env=_variables(stats), stdout=sys.stderr, check=False)
        if not stats.exists():
            message = f"ansible-playbook ended with {done.returncode} and no outcome"
            raise PerennialError(message, where=environment, next_=f"{' '.join(command[1:])} -vvv")
        outcome = parse(json.loads(stats.read_text("utf-8")), done.returncode)
    _require_every_host(environment, outcome)
    return outcome


def _variables(stats: Path) -> dict[str, str]:
    """Return the environment of Ansible: our callback on, everything else as for a person."""
    return os.environ | {
        "PERENNIAL_STATS": str(stats),
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": "perennial_stats",
        "ANSIBLE_NOCOLOR": "1",
    }


def _require_every_host(environment: str, outcome: Outcome) -> None:
    """Refuse an outcome that says nothing about some hosts: a play that matched none must not pass."""
    try:
        hosts = load(environment).hosts.values()
    except SpecError as error:
        raise PerennialError(str(error), code=Exit.USAGE) from error
    absent = sorted({host.name for host in hosts if not host.disabled} - set(outcome.hosts))
    if absent:
        raise PerennialError(f"the playbook did not reach {', '.join(absent)}", where=environment)
