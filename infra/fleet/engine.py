# SPDX-License-Identifier: Apache-2.0
"""The one rolling engine: a procedure is data; hosts are worked on in batches within the disruption budget.

For each batch: lock still ours → others healthy → budget → out of service → act → healthy → back in service →
post-check → done. The first failure stops the whole run; the failed host stays out of service, and that is
said.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from infra.fleet.exits import Exit, PerennialError
from infra.fleet.health import UNITS, Health
from infra.fleet.journal import say_on_stderr
from infra.fleet.lock import NullLock
from infra.fleet.progress import Progress
from infra.fleet.remote import must
from infra.fleet.tiers import OtherTier, Tier, tier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from infra.fleet.lock import Lock
    from infra.fleet.remote import Runner
    from infra.spec import Host, Platform

POOL_ROLES = ("database", "app", "edge")
UNIT_TYPES = (".service", ".socket", ".timer", ".target")


def no_silence(hosts: list[str]) -> AbstractContextManager[None]:
    """Leave alerts as they are."""
    del hosts
    return nullcontext()


def no_record(host: str) -> None:
    """Record nothing."""
    del host


@dataclass(frozen=True)
class Procedure:
    """What is done to each host of a role: systemd units (names without a host's state), reload or restart.

    `units_of` overrides `units` for single hosts. `health_seconds` bounds the wait after the act.
    """

    name: str
    role: str
    action: Literal["reload", "restart"]
    units: tuple[str, ...] = ()
    units_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    batch: int = 1
    health_seconds: float = 90
    only: tuple[str, ...] = ()

    def units_on(self, host: str) -> tuple[str, ...]:
        """Return the units to act on at `host`."""
        return self.units_of.get(host, self.units)

    @property
    def disruptive(self) -> bool:
        """Tell whether members must leave service: a reload is graceful by the role's own promise."""
        return self.action == "restart"


@dataclass
class Report:
    """What a run did: hosts done, hosts left out and why, in order."""

    procedure: str
    done: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> Exit:
        """Return `partial` where a host was left out."""
        return Exit.PARTIAL if self.left else Exit.DONE


@dataclass
class Rolling:
    """Carries out procedures on one platform.

    A dry run (the runner's default) looks and names, and changes nothing. `accept_outage` skips draining
    and the budget: for a role with a single member, which cannot be restarted otherwise.
    """

    platform: Platform
    runner: Runner
    lock: Lock = field(default_factory=NullLock)
    progress: Progress | None = None
    accept_outage: bool = False
    precheck_seconds: float = 15
    say: Callable[[str], None] = say_on_stderr
    silenced: Callable[[list[str]], AbstractContextManager[None]] = no_silence
    changed: Callable[[str], None] = no_record

    def hosts(self, procedure: Procedure) -> list[Host]:
        """Return the enabled hosts that the procedure means; raise PerennialError (64) for none."""
        hosts = [
            host
            for host in self.platform.with_role(procedure.role, enabled_only=True)
            if (not procedure.only or host.name in procedure.only) and procedure.units_on(host.name)
        ]
        if not hosts:
            raise PerennialError(f"{procedure.name} means no host", where=self.platform.name, code=Exit.USAGE)
        return hosts

    def run(self, procedure: Procedure) -> Report:
        """Work through all hosts; raise PerennialError at the first failure, after saying what stays out."""
        how = (
            tier(procedure.role, self.platform, self.runner, self.say)
            if procedure.disruptive
            else OtherTier()
        )
        report = Report(procedure.name)
        done_before = self.progress.done(procedure.name) if self.progress else set()
        pending = []
        for host in how.order(self.hosts(procedure)):
            if host.name in done_before:
                self.say(f"{host.name}: done by an earlier run of {procedure.name}")
            elif reason := how.refuses(host):
                report.left[host.name] = reason
                self.say(f"{host.name}: left as it is, {reason}")
            else:
                pending.append(host)
        begin = time.monotonic()
        for start in range(0, len(pending), procedure.batch):
            self._batch(procedure, how, pending[start : start + procedure.batch], report)
            self._progress(len(report.done), len(pending), time.monotonic() - begin)
        if self.progress and not report.left and not self.runner.dry_run:
            self.progress.clear(procedure.name)
        return report

    def _progress(self, done: int, total: int, seconds: float) -> None:
        """Say how far a run of several hosts is, and how long the rest takes at this rate."""
        if 0 < done < total and not self.runner.dry_run:
            left = seconds / done * (total - done)
            self.say(f"{done} of {total} hosts done, {seconds / done:.0f} s a host, about {left:.0f} s left")

    def _batch(self, procedure: Procedure, how: Tier, batch: list[Host], report: Report) -> None:
        """Work on one batch; a host is recorded only when everything after it has been checked."""
        names = [host.name for host in batch]
        self.lock.check()
        try:
            self._check(procedure, how, names)
        except PerennialError as error:
            if error.code is not Exit.REFUSED:
                raise
            report.left.update(dict.fromkeys(names, str(error)))
            self.say(f"{', '.join(names)}: left as it is, {error}")
            return
        if self.runner.dry_run:
            self.say(f"would {self._words(procedure, names)}")
            return
        with self.silenced(names):
            self._work(procedure, how, batch)
            Health(self.platform, self.runner).require(batch, procedure.health_seconds)
        for name in names:
            if self.progress:
                self.progress.add(procedure.name, name)
            report.done.append(name)

    def _check(self, procedure: Procedure, how: Tier, names: list[str]) -> None:
        """Require that the others carry the service, and that the budget allows to take these out."""
        others = [
            host
            for host in self.platform.with_role(procedure.role, enabled_only=True)
            if host.name not in names
        ]
        if procedure.disruptive and procedure.role in POOL_ROLES:
            Health(self.platform, self.runner).require(others, seconds=self.precheck_seconds)
            if not self.accept_outage:
                how.check_budget(names)

    def _work(self, procedure: Procedure, how: Tier, batch: list[Host]) -> None:
        health = Health(self.platform, self.runner)
        with ExitStack() as out:
            for host in batch:
                if not self.accept_outage:
                    out.enter_context(how.out(host.name))
            for host in batch:
                self.say(self._words(procedure, [host.name]))
                self.changed(host.name)
                self._act(procedure, host.name)
            stopped = () if self.accept_outage else how.stopped_units
            health.require(batch, procedure.health_seconds, without=stopped)

    def _act(self, procedure: Procedure, host: str) -> None:
        units = [full_name(unit) for unit in procedure.units_on(host)]
        done = self.runner.run(host, ["systemctl", procedure.action, *units], timeout=180)
        must(done, f"systemctl {procedure.action} {' '.join(units)}")

    def _words(self, procedure: Procedure, names: Iterable[str]) -> str:
        return "; ".join(
            f"{procedure.action} {', '.join(procedure.units_on(name))} on {name}" for name in names
        )


def full_name(unit: str) -> str:
    """Return a unit's name with its type; a dot alone says nothing (`php8.4-fpm`)."""
    return unit if unit.endswith(UNIT_TYPES) else f"{unit}.service"


def role_of(unit: str, host: Host) -> str:
    """Return the role of `host` whose members must be rolled for `unit`: a pool role first, else `base`."""
    bare = unit.removesuffix(".service")
    found = [role for role in POOL_ROLES if role in host.roles and bare in UNITS[role]]
    return found[0] if found else "base"
