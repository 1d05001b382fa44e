# SPDX-License-Identifier: Apache-2.0
"""The end of `make up`: units that a role marked `restart needed` are restarted, one host at a time.

The marks on the hosts are the state: a unit's mark goes when it was restarted and the host is healthy, so a
run that stopped is resumed by the next one.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.fleet.engine import POOL_ROLES, Procedure, Report, Rolling, no_record, role_of
from infra.fleet.exits import PerennialError
from infra.fleet.journal import say_on_stderr
from infra.fleet.lock import NullLock, held
from infra.fleet.remote import SshRunner, must, run_many
from infra.fleet.silence import Silences, silenced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from infra.fleet.lock import Lock
    from infra.fleet.progress import Progress
    from infra.fleet.remote import Runner
    from infra.inventory import Fleet
    from infra.spec import Platform

MARKS = "/run/perennial/restart-needed.d"
UNIT = re.compile(r"[A-Za-z0-9@._:-]+")


def marked(platform: Platform, runner: Runner) -> Mapping[str, tuple[str, ...]]:
    """Return the marked units of each enabled host that has any, read from the hosts now."""
    names = [host.name for host in platform.hosts.values() if not host.disabled]
    list_marks = ["find", MARKS, "-maxdepth", "1", "-type", "f", "-printf", "%f\\n"]
    command = ["sh", "-c", 'test -d "$1" || exit 0; shift; exec "$@"', "sh", MARKS, *list_marks]
    found = {}
    for name, result in run_many(runner, names, command, safe=True).items():
        units = sorted(must(result, "looking for units to restart").stdout.split())
        strange = [unit for unit in units if not UNIT.fullmatch(unit)]
        if strange:
            raise PerennialError(f"strange mark in {MARKS}: {strange[0]!r}", where=name)
        if units:
            found[name] = tuple(units)
    return found


def procedures(platform: Platform, marks: Mapping[str, tuple[str, ...]]) -> list[Procedure]:
    """Return one procedure for each role with marked units: databases, applications, edges, then the rest."""
    by_role: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, units in marks.items():
        for unit in units:
            hosts = by_role.setdefault(role_of(unit, platform.hosts[name]), {})
            hosts[name] = (*hosts.get(name, ()), unit)
    order = [role for role in (*POOL_ROLES, "base") if role in by_role]
    return [Procedure(f"restart-needed-{role}", role, "restart", units_of=by_role[role]) for role in order]


def roll(
    fleet: Fleet,
    procedure: Procedure,
    *,
    dry_run: bool = True,
    lock: Lock | None = None,
    runner: Runner | None = None,
    accept_outage: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = say_on_stderr,
    changed: Callable[[str], None] = no_record,
) -> Report:
    """Carry out one procedure with the alerts of each batch silenced; see Rolling.

    Without `lock` it holds the fleet's own; `changed` hears of each host before it is acted on.
    """
    runner = runner or SshRunner(fleet, dry_run=dry_run)
    silences = None if runner.dry_run else Silences.of(fleet)

    def silenced_here(hosts: list[str]) -> AbstractContextManager[None]:
        """Silence the alerts of one batch for as long as the context lasts."""
        return silenced(silences, hosts, procedure.name, say=say)

    with _locked(fleet, lock, runner, idle=False) as ours:
        return Rolling(
            fleet.platform,
            runner,
            ours,
            progress,
            accept_outage=accept_outage,
            say=say,
            silenced=silenced_here,
            changed=changed,
        ).run(procedure)


def restart_needed(
    fleet: Fleet,
    *,
    dry_run: bool = True,
    lock: Lock | None = None,
    runner: Runner | None = None,
    accept_outage: bool = False,
    say: Callable[[str], None] = say_on_stderr,
    changed: Callable[[str], None] = no_record,
) -> list[Report]:
    """Restart what is marked, rolling, and clear the marks; return a report for each role that had any.

    A member without which the service would stop (the writer, the only edge) is left marked and reported;
    with `accept_outage` all but a writer are restarted. Raises PerennialError at the first failure.
    """
    runner = runner or SshRunner(fleet, dry_run=dry_run)
    todo = procedures(fleet.platform, marked(fleet.platform, runner))
    reports = []
    with _locked(fleet, lock, runner, idle=not todo) as ours:
        for procedure in todo:
            report = roll(
                fleet,
                procedure,
                lock=ours,
                runner=runner,
                accept_outage=accept_outage,
                say=say,
                changed=changed,
            )
            for host in report.done:
                paths = [f"{MARKS}/{unit}" for unit in procedure.units_on(host)]
                must(runner.run(host, ["rm", "-f", *paths]), "clearing the marks")
            reports.append(report)
    return reports


@contextmanager
def _locked(fleet: Fleet, lock: Lock | None, runner: Runner, *, idle: bool) -> Iterator[Lock]:
    """Give the caller's lock, or hold the fleet's own where something will be done without one."""
    if lock is not None or idle or runner.dry_run:
        yield lock or NullLock()
        return
    with held(fleet, "rolling change", runner=runner) as ours:
        yield ours
