# SPDX-License-Identifier: Apache-2.0
"""up, converge and down: plan, ask, act under the environment's lock, written to the journal."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console

from infra.fleet import health, journal, rolling
from infra.inventory import read_fleet
from infra.inventory.fleet import STATE_DIRECTORY
from infra.make import plan, provision, summary
from infra.make.steps import Steps, ask
from infra.spec import load
from infra.toolchain.environment_lock import environment_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.spec import Platform
    from infra.toolchain.environment_lock import HeldLock

console = Console(stderr=True, highlight=False)


@contextmanager
def _acting(platform: Platform, command: str) -> Iterator[tuple[Steps, HeldLock]]:
    """Hold the environment for one act that is written to its journal."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    steps = Steps(STATE_DIRECTORY / platform.name / "logs" / f"{stamp}-{command}.log", console)
    with environment_lock(platform.name, f"make {command}") as held:
        hosts = tuple(platform.hosts)
        with journal.act(platform.name, f"make {command}", reason=f"make {command}", hosts=hosts):
            yield steps, held


def _told(title: str, lines: list[str], *, yes: bool) -> bool:
    console.print(f"[bold]{title}[/bold]")
    for line in lines:
        console.print(f"  - {line}")
    return ask("Go on?", yes=yes)


def up(environment: str, *, yes: bool) -> int:
    """Bring `environment` from whatever state to a running platform; return the exit code."""
    platform = load(environment)
    if not _told(f"make up will do this for {environment}:", plan.up_plan(platform), yes=yes):
        return 4
    begin = time.monotonic()
    with _acting(platform, "up") as (steps, held):
        provision.provision(steps, platform, held)
        _configure(steps, platform)
    fleet = read_fleet(environment)
    authority = summary.write_authority(fleet, STATE_DIRECTORY / environment)
    for line in summary.up_summary(fleet, authority, time.monotonic() - begin):
        console.print(line, markup=False)
    return 0


def converge(environment: str, arguments: tuple[str, ...]) -> int:
    """Configure the hosts of an environment that is up; `arguments` go to ansible-playbook as they are."""
    platform = load(environment)
    with _acting(platform, "converge") as (steps, _):
        _configure(steps, platform, *arguments)
    return 0


def _configure(steps: Steps, platform: Platform, *arguments: str) -> None:
    """Run the playbook, then restart what it could only mark, one pool member at a time, then wait for health."""
    provision.configure(steps, platform, *arguments)
    fleet = read_fleet(platform.name)
    with steps.timed("restarts that the roles asked for (rolling)"):
        rolling.restart_needed(fleet, dry_run=False)
    with steps.timed("health of every host"):
        health.wait_all(fleet)


def down(environment: str, *, yes: bool) -> int:
    """Take a disposable environment away without a trace; return the exit code."""
    platform = load(environment)
    if not platform.environment.disposable:
        console.print(f"{environment} is not disposable: make down is refused (inventories/{environment}.yml)")
        return 4
    if not _told(f"make down will do this for {environment}:", plan.down_plan(platform), yes=yes):
        return 4
    with _acting(platform, "down") as (steps, held):
        provision.unprovision(steps, platform, held)
    return 0
