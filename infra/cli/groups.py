# SPDX-License-Identifier: Apache-2.0
"""The command groups, found by name; only the one that is called gets imported."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from infra.fleet.exits import Exit, PerennialError

if TYPE_CHECKING:
    import typer


@dataclass(frozen=True)
class Group:
    """Where a group lives, and the line that `perennial --help` shows without importing it."""

    module: str
    summary: str


GROUPS = {
    "spec": Group("infra.cli.spec", "Show, check and compare the description in inventories/."),
    "fleet": Group("infra.cli.fleet", "Look at hosts and act on them."),
    "schedule": Group("infra.schedule.commands", "List, run and judge the scheduled tasks."),
    "runbook": Group("infra.cli.runbook", "Read, check and run the runbook pages of alerts."),
    "drill": Group("alerts.commands", "Show that alerts fire and that their pages mend, on a lab."),
    "secret": Group("infra.cli.secret", "List secrets; show one value."),
    "status": Group("infra.cli.status", "Show how much of the plan is live, and what runs."),
    "doctor": Group("infra.cli.doctor", "Name what is missing or wrong on this machine, and the mend."),
}


def exists(name: str) -> bool:
    """Tell whether the group's module is there, without importing it."""
    parent = GROUPS[name].module.rpartition(".")[0]
    return find_spec(parent) is not None and find_spec(GROUPS[name].module) is not None


def load(name: str) -> typer.Typer:
    """Import the group `name` and return its commands; raise PerennialError (64) where it is not there."""
    if not exists(name):
        message = f"the group {name!r} is not in this checkout"
        raise PerennialError(message, where=GROUPS[name].module, next_="git status", code=Exit.USAGE)
    app: typer.Typer = import_module(GROUPS[name].module).app
    return app
