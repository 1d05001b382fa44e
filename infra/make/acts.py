# SPDX-License-Identifier: Apache-2.0
"""up, converge and down: plan, ask, act under the environment's lock, written to the journal."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console

from infra.existing import contact
from infra.fleet import health, journal, lock, rolling
from infra.fleet.remote import SshRunner
from infra.inventory import FleetError, read_fleet
from infra.inventory.fleet import STATE_DIRECTORY
from infra.make import plan, provision, summary
from infra.make.steps import Steps, ask
from infra.spec import load
from infra.toolchain.environment_lock import environment_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.spec import Platform

console = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Acting:
    """One act under way: its platform, its steps and its record in the journal."""

    platform: Platform
    steps: Steps
    record: journal.Act


@contextmanager
def _acting(platform: Platform, command: str) -> Iterator[Acting]:
    """Hold the environment for one act that is written to its journal."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    steps = Steps(STATE_DIRECTORY / platform.name / "logs" / f"{stamp}-{command}.log", console)
    title = f"make {command}"
    with (
        environment_lock(platform.name, title) as held,
        journal.act(platform.name, title, reason=title, hosts=platform.hosts) as record,
    ):
        provision.recover(steps, platform, held)
        yield Acting(platform, steps, record)


def _told(title: str, lines: list[str], *, yes: bool) -> bool:
    console.print(f"[bold]{title}[/bold]")
    for line in lines:
        console.print(f"  - {line}", soft_wrap=True)
    return ask("Go on?", yes=yes)


def up(environment: str, *, yes: bool) -> int:
    """Bring `environment` from whatever state to a running platform; return the exit code."""
    platform = load(environment)
    if not _told(f"make up will do this for {environment}:", plan.up_plan(platform), yes=yes):
        return 4
    begin = time.monotonic()
    with _acting(platform, "up") as acting:
        provision.provision(acting.steps, platform)
        _configure(acting)
    fleet = read_fleet(environment)
    authority = summary.write_authority(fleet, STATE_DIRECTORY / environment)
    for line in summary.up_summary(fleet, authority, time.monotonic() - begin):
        console.print(line, markup=False, soft_wrap=True)
    return 0


def converge(environment: str, arguments: tuple[str, ...]) -> int:
    """Configure the hosts of an environment that is up; `arguments` go to ansible-playbook as they are."""
    platform = load(environment)
    with _acting(platform, "converge") as acting:
        _configure(acting, *arguments)
    return 0


def _configure(acting: Acting, *arguments: str) -> None:
    """Run the playbook, then the restarts that it marked (one pool member at a time), then wait for health.

    Nobody else changes the fleet meanwhile: its lock lies on the fleet itself.
    """
    steps, record = acting.steps, acting.record
    fleet = read_fleet(acting.platform.name)
    record.attach(fleet)
    if "replace-host" not in fleet.document.capabilities:  # whoever is shut out of such a host stays out
        with steps.timed("first look at every host"):
            contact.require(fleet, SshRunner(fleet))
    with lock.held(fleet, record.reason) as fleet_lock:
        changed = provision.configure(steps, acting.platform, *arguments)
        record.change(*[host for host, count in changed.items() if count])
        with steps.timed("restarts that the roles asked for (rolling)"):
            reports = rolling.restart_needed(fleet, dry_run=False, lock=fleet_lock, changed=record.change)
        for host, why in [pair for report in reports for pair in report.left.items()]:
            steps.console.print(f"    [yellow]![/yellow] {host} still needs a restart: {why}")
        with steps.timed("health of every host"):
            health.wait_all(fleet)


def down(environment: str, *, yes: bool) -> int:
    """Take a disposable environment away without a trace; return the exit code."""
    platform = load(environment)
    if not platform.environment.disposable:
        console.print(
            f"{environment} is not disposable: make down is refused (inventories/{environment}.yml)"
        )
        return 4
    if not _told(f"make down will do this for {environment}:", plan.down_plan(platform), yes=yes):
        return 4
    with _acting(platform, "down") as acting:
        _close_connections(environment)
        provision.unprovision(acting.steps, platform)
    return 0


def _close_connections(environment: str) -> None:
    """End the shared SSH connections to hosts that are about to go, where any are known."""
    try:
        SshRunner(read_fleet(environment)).close()
    except FleetError:
        return
