# SPDX-License-Identifier: Apache-2.0
"""Members of the application pool: drained and put back on every edge, confirmed on every edge."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tenacity

from infra.fleet.exits import Exit, PerennialError
from infra.fleet.journal import say_on_stderr
from infra.fleet.remote import SshRunner, must

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.fleet.remote import Runner
    from infra.inventory import Fleet
    from infra.spec import Platform

# Installed by the role edge; it also keeps a drain over reloads and restarts of HAProxy.
HAPROXYCTL = "/usr/local/bin/haproxyctl"
BACKEND = "app"
POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Member:
    """One member as one edge sees it; `sessions` counts requests under way and waiting."""

    edge: str
    host: str
    status: str
    sessions: int

    @property
    def drained(self) -> bool:
        """Tell whether the edge sends it nothing new because somebody said so."""
        return self.status.startswith(("DRAIN", "MAINT"))

    @property
    def serving(self) -> bool:
        """Tell whether the edge sends it requests."""
        return self.status.startswith("UP")


class NotYetError(Exception):
    """What is waited for has not happened; the message says what it stands at."""


@dataclass
class Pool:
    """The application pool of one platform; a dry run of `runner` reads and changes nothing."""

    platform: Platform
    runner: Runner
    drain_seconds: float = 60
    return_seconds: float = 60
    say: Callable[[str], None] = say_on_stderr

    @property
    def edges(self) -> list[str]:
        """Return the edges that must agree."""
        return [host.name for host in self.platform.with_role("edge", enabled_only=True)]

    def status(self) -> list[Member]:
        """Return every member on every edge; raise PerennialError where an edge does not answer."""
        members = []
        for edge in self.edges:
            result = self.runner.run(edge, [HAPROXYCTL, "show"], safe=True)
            rows = json.loads(must(result, "asking HAProxy for its servers").stdout)
            members += [
                Member(edge, row["server"], row["status"], row["sessions"] + row["queue"])
                for row in rows
                if row["pool"] == BACKEND
            ]
        return members

    def of(self, host: str) -> list[Member]:
        """Return one member as each edge sees it; raise PerennialError where an edge does not know it."""
        found = [member for member in self.status() if member.host == host]
        missing = set(self.edges) - {member.edge for member in found}
        if missing or not found:
            where = ", ".join(sorted(missing)) or "no edges"
            raise PerennialError(
                f"{host} is not in the pool on {where}", next_="make converge", code=Exit.USAGE
            )
        return found

    def check_budget(self, hosts: list[str]) -> None:
        """Refuse (4) to drain `hosts` where any edge would keep fewer members than the pool allows."""
        budget = next((s.pool for s in self.platform.services.values() if s.role == "app" and s.pool), None)
        if budget is None:
            raise PerennialError(
                "no service of role app has a pool", next_="perennial spec show", code=Exit.USAGE
            )
        members = self.status()
        for edge in self.edges:
            here = [member for member in members if member.edge == edge]
            left = [member.host for member in here if member.serving and member.host not in hosts]
            out = [member.host for member in here if not member.serving or member.host in hosts]
            share = 100 * len(out) / len(here) if here else 100
            if len(left) < budget.min_up or share > budget.max_drained_percent:
                message = f"draining {', '.join(hosts)} would leave {len(left)} of {len(here)} members"
                message += f" (at least {budget.min_up} up, at most {budget.max_drained_percent} % out)"
                raise PerennialError(message, where=edge, next_="perennial fleet status", code=Exit.REFUSED)

    def drain(self, host: str) -> None:
        """Give `host` nothing new on every edge; wait for requests under way, `drain_seconds` at most."""
        self.of(host)
        self.check_budget([host])
        for edge in self.edges:
            must(self.runner.run(edge, [HAPROXYCTL, "drain", host]), f"draining {host}")
        if not self.runner.dry_run:
            self._wait(self.drain_seconds, lambda: self._require_idle(host))

    def undrain(self, host: str) -> None:
        """Put `host` back on every edge and wait until each sends it requests, `return_seconds` at most."""
        self.of(host)
        for edge in self.edges:
            must(self.runner.run(edge, [HAPROXYCTL, "ready", host]), f"undraining {host}")
        if not self.runner.dry_run:
            self._wait(self.return_seconds, lambda: self._require_serving(host))

    def _require_idle(self, host: str) -> None:
        for member in self.of(host):
            if not member.drained:
                raise NotYetError(f"{member.edge} still says {member.status} of {host}")
            if member.sessions:
                raise NotYetError(f"{member.sessions} requests under way from {member.edge} to {host}")

    def _require_serving(self, host: str) -> None:
        for member in self.of(host):
            if not member.serving:
                raise NotYetError(f"{member.edge} says {member.status} of {host}")

    def _wait(self, seconds: float, check: Callable[[], None]) -> None:
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_delay(seconds),
            wait=tenacity.wait_fixed(POLL_SECONDS),
            retry=tenacity.retry_if_exception_type(NotYetError),
            reraise=True,
        )
        try:
            retrying(check)
        except NotYetError as error:
            raise PerennialError(
                f"not within {seconds:g} s: {error}", next_="perennial fleet status"
            ) from error


@contextmanager
def drained(pool: Pool, host: str) -> Iterator[None]:
    """Hold `host` out of the pool for the block and put it back after it.

    WARNING: on an error in the block the host stays drained, because nobody knows whether it is fit to
    serve; the last words say so and name the command that puts it back.
    """
    pool.drain(host)
    try:
        yield
    except BaseException:
        pool.say(f"{host} stays DRAINED on {', '.join(pool.edges)}: the act on it did not finish")
        pool.say(f"when it is fit to serve: perennial fleet undrain {host} --env {pool.platform.name}")
        raise
    pool.undrain(host)


def drain(fleet: Fleet, host: str, *, dry_run: bool = True) -> None:
    """Take one member out on every edge and wait until requests under way have ended; see Pool.drain."""
    Pool(fleet.platform, SshRunner(fleet, dry_run=dry_run)).drain(host)


def undrain(fleet: Fleet, host: str, *, dry_run: bool = True) -> None:
    """Put one member back on every edge and wait until each sends it requests; see Pool.undrain."""
    Pool(fleet.platform, SshRunner(fleet, dry_run=dry_run)).undrain(host)
