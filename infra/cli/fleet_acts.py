# SPDX-License-Identifier: Apache-2.0
"""The changing half of `perennial fleet`: plan, question, lock, journal, act."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import httpx
import typer

from infra.cli.common import agreed, print_json
from infra.fleet import journal, lock, rolling, selection
from infra.fleet.engine import Procedure, Report, role_of
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.health import UNITS, Health
from infra.fleet.pool import Pool
from infra.fleet.progress import Progress
from infra.fleet.remote import SshRunner, must
from infra.fleet.silence import Silences, check
from infra.fleet.tiers import EdgeTier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.fleet.journal import Act
    from infra.inventory import Fleet


@contextmanager
def acting(
    fleet: Fleet,
    command: str,
    plan: Sequence[str],
    hosts: Sequence[str],
    reason: str,
    *,
    dry_run: bool,
    yes: bool,
) -> Iterator[Act | None]:
    """Ask, then hold lock and journal for the block; None after `--dry-run`."""
    environment = fleet.platform.name
    if not agreed(environment, plan, dry_run=dry_run, yes=yes):
        yield None
        return
    with (
        journal.act(environment, f"perennial {command}", reason=reason, hosts=hosts, fleet=fleet) as act,
        lock.held(fleet, f"{command}: {reason}") as held,
    ):
        act.lock = held
        yield act


def take_out(
    fleet: Fleet, name: str, reason: str, *, dry_run: bool, yes: bool, as_json: bool = False
) -> None:
    """Drain an application host, or stop keepalived on an edge whose peer takes the address."""
    role = _role_with_a_way_out(fleet, name)
    runner = SshRunner(fleet, dry_run=True)
    if role == "app":
        Pool(fleet.platform, runner).check_budget([name])
        plan = [f"drain {name} on {', '.join(Pool(fleet.platform, runner).edges)}: nothing new, requests end"]
    else:
        EdgeTier(fleet.platform, runner).check_budget([name])
        plan = [f"stop keepalived on {name}; a peer takes {fleet.platform.environment.vip.address}"]
    with acting(fleet, f"fleet drain {name}", plan, [name], reason, dry_run=dry_run, yes=yes) as act:
        if act is None:
            return
        act.change(name)
        changing = SshRunner(fleet, dry_run=False)
        if role == "app":
            Pool(fleet.platform, changing).drain(name)
        else:
            EdgeTier(fleet.platform, changing).leave(name)
    if as_json:
        print_json({"host": name, "in_service": False})
    else:
        print(f"{name} is out of service; next: perennial fleet undrain {name} --env {fleet.platform.name}")


def silence(
    fleet: Fleet, asked: Sequence[str], reason: str, minutes: float, *, dry_run: bool, yes: bool
) -> None:
    """Silence the alerts of the hosts; they are not touched, so that no lock is needed."""
    names = [host.name for host in selection.select(fleet.platform, asked)]
    check(reason, minutes)
    plan = [f"tell nobody of alerts of {', '.join(names)} for {minutes:g} minutes: {reason}"]
    if not agreed(fleet.platform.name, plan, dry_run=dry_run, yes=yes):
        return
    silences = Silences.of(fleet)
    if silences is None:
        raise PerennialError("no host monitors this environment", where=fleet.platform.name)
    command = f"perennial fleet silence {' '.join(names)}"
    with journal.act(fleet.platform.name, command, reason=reason, hosts=names, fleet=fleet):
        try:
            print(silences.add(names, reason, minutes))
        except httpx.HTTPError as error:
            raise PerennialError(f"Alertmanager does not answer: {error}", code=Exit.FAILED) from error


def put_back(
    fleet: Fleet, name: str, reason: str, *, dry_run: bool, yes: bool, as_json: bool = False
) -> None:
    """Put a host back after proving it healthy."""
    role = _role_with_a_way_out(fleet, name)
    host = fleet.platform.hosts[name]
    plan = [f"prove {name} healthy, then put it back into service"]
    with acting(fleet, f"fleet undrain {name}", plan, [name], reason, dry_run=dry_run, yes=yes) as act:
        if act is None:
            return
        changing = SshRunner(fleet, dry_run=False)
        stopped = EdgeTier(fleet.platform, changing).stopped_units if role == "edge" else ()
        Health(fleet.platform, changing).require([host], seconds=60, without=stopped)
        act.change(name)
        if role == "app":
            Pool(fleet.platform, changing).undrain(name)
        else:
            must(changing.run(name, ["systemctl", "start", "keepalived.service"]), "starting keepalived")
    if as_json:
        print_json({"host": name, "in_service": True})
    else:
        print(f"{name} is back in service")


def _role_with_a_way_out(fleet: Fleet, name: str) -> str:
    (host, *more) = selection.select(fleet.platform, [name])
    if more or host.name != name:
        raise PerennialError(f"{name!r} is not one host", next_="perennial fleet list", code=Exit.USAGE)
    role = next((role for role in ("app", "edge") if role in host.roles), "")
    if not role:
        message = f"{name} is in no pool that can be drained ({', '.join(host.roles)})"
        raise PerennialError(message, next_="perennial fleet list app edge", code=Exit.USAGE)
    return role


def procedure(
    fleet: Fleet, hosts: str, units: tuple[str, ...], action: Literal["reload", "restart"]
) -> Procedure:
    """Return the procedure that these words mean; raise PerennialError (64) for hosts of several tiers."""
    chosen = selection.select(fleet.platform, hosts.split(","))
    if not units:
        known = ", ".join(UNITS.get(hosts, ())) or "systemctl list-units"
        raise PerennialError("no units were named", next_=f"units such as {known}", code=Exit.USAGE)
    roles = {role_of(unit, host) for unit in units for host in chosen}
    if len(roles) != 1:
        message = f"{', '.join(units)} on {hosts} are of several roles: {', '.join(sorted(roles))}"
        raise PerennialError(message, next_="one role at a time", code=Exit.USAGE)
    name = f"{action}-{hosts}-{'-'.join(units)}".replace("/", "_").replace("*", "x")
    return Procedure(name, roles.pop(), action, units, only=tuple(host.name for host in chosen))


def roll(
    fleet: Fleet, what: Procedure, reason: str, *, accept_outage: bool, dry_run: bool, yes: bool
) -> list[Report]:
    """Carry out one procedure after showing what it will do, resuming where an earlier run stopped."""
    plan: list[str] = []
    rolling.roll(fleet, what, dry_run=True, accept_outage=accept_outage, say=plan.append)
    with acting(fleet, f"fleet {what.name}", plan, what.only, reason, dry_run=dry_run, yes=yes) as act:
        if act is None:
            return []
        progress = Progress(journal.journal_directory(fleet.platform.name) / "rolling")
        report = rolling.roll(
            fleet,
            what,
            dry_run=False,
            accept_outage=accept_outage,
            changed=act.change,
            progress=progress,
            lock=act.lock,
        )
        act.outcome = report.outcome
    return [report]


def restart_marked(
    fleet: Fleet, reason: str, *, accept_outage: bool, dry_run: bool, yes: bool
) -> list[Report]:
    """Restart what roles marked, after showing it."""
    plan: list[str] = []
    rolling.restart_needed(fleet, dry_run=True, accept_outage=accept_outage, say=plan.append)
    if not plan:
        print(f"nothing on {fleet.platform.name} is marked as restart needed", file=sys.stderr)
        return []
    hosts = list(rolling.marked(fleet.platform, SshRunner(fleet)))
    with acting(fleet, "fleet restart --needed", plan, hosts, reason, dry_run=dry_run, yes=yes) as act:
        if act is None:
            return []
        reports = rolling.restart_needed(
            fleet, dry_run=False, accept_outage=accept_outage, changed=act.change, lock=act.lock
        )
        act.outcome = max((report.outcome for report in reports), default=Exit.DONE)
    return reports


def tell(reports: list[Report], *, as_json: bool) -> None:
    """Print what was done and what was left; exit 3 where a host was left."""
    if as_json:
        print_json([vars(report) for report in reports])
    for report in () if as_json else reports:
        print(f"{report.procedure}: done on {', '.join(report.done) or 'no host'}")
        for host, why in report.left.items():
            print(f"  {host}: left as it is, {why}")
    if any(report.left for report in reports):
        raise typer.Exit(Exit.PARTIAL)
