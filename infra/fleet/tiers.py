# SPDX-License-Identifier: Apache-2.0
"""How members of each tier leave and come back: app by HAProxy, edge by keepalived, database by role."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import tenacity

from infra.fleet.exits import Exit, PerennialError
from infra.fleet.health import REPLICATION, is_writer, replication_fields
from infra.fleet.journal import say_on_stderr
from infra.fleet.pool import NotYetError, Pool, drained
from infra.fleet.remote import must

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from infra.fleet.remote import Runner
    from infra.spec import Host, Platform

VIP_LEAVES_SECONDS = 10.0


class Tier(Protocol):
    """What the rolling engine needs to know of a role; `stopped_units` do not run while a member is out."""

    @property
    def stopped_units(self) -> tuple[str, ...]:
        """Return the units that `out` holds stopped."""
        ...

    def order(self, hosts: list[Host]) -> list[Host]:
        """Return `hosts` in the order in which they may be worked on."""
        ...

    def check_budget(self, hosts: list[str]) -> None:
        """Raise PerennialError (4) where taking `hosts` out breaks the disruption budget."""
        ...

    def refuses(self, host: Host) -> str:
        """Return why this host must not be worked on by itself ('' where it may)."""
        ...

    def out(self, host: str) -> AbstractContextManager[None]:
        """Hold a member out for the block; on an error it stays out, and that is said."""
        ...


def check_share(platform: Platform, role: str, hosts: list[str]) -> None:
    """Refuse (4) where a role would keep no member, or fewer than its service's pool demands."""
    members = [host.name for host in platform.with_role(role, enabled_only=True)]
    pool = next((s.pool for s in platform.services.values() if s.role == role and s.pool), None)
    left = len(set(members) - set(hosts))
    needed = max(1, pool.min_up) if pool else 1
    percent = pool.max_drained_percent if pool else 100
    if left < needed or 100 * (len(members) - left) > percent * len(members):
        message = f"taking out {', '.join(hosts)} would leave {left} of {len(members)} (at least {needed})"
        raise PerennialError(message, where=f"{platform.name} {role}", code=Exit.REFUSED)


@dataclass
class AppTier:
    """Application hosts: drained in HAProxy on every edge."""

    pool: Pool

    @property
    def stopped_units(self) -> tuple[str, ...]:
        """Return the units that `out` holds stopped."""
        return ()

    def order(self, hosts: list[Host]) -> list[Host]:
        """Return the hosts as they come; drained ones first, since they carry nothing."""
        out = {member.host for member in self.pool.status() if member.drained}
        return sorted(hosts, key=lambda host: host.name not in out)

    def check_budget(self, hosts: list[str]) -> None:
        """Ask every edge what it would keep."""
        self.pool.check_budget(hosts)

    def refuses(self, host: Host) -> str:
        """Refuse no host."""
        del host
        return ""

    def out(self, host: str) -> AbstractContextManager[None]:
        """Hold one host drained."""
        return drained(self.pool, host)


@dataclass
class EdgeTier:
    """Edges: the virtual address moves to a peer before anything is restarted; keepalived stops meanwhile."""

    platform: Platform
    runner: Runner
    say: Callable[[str], None] = say_on_stderr
    leaves_seconds: float = VIP_LEAVES_SECONDS

    @property
    def stopped_units(self) -> tuple[str, ...]:
        """Return the units that `out` holds stopped."""
        return ("keepalived",)

    def holds_address(self, host: str) -> bool:
        """Tell whether `host` has the virtual address now."""
        address = str(self.platform.environment.vip.address)
        shown = must(
            self.runner.run(host, ["ip", "-o", "-4", "addr"], safe=True), "looking for the virtual address"
        )
        return f" {address}/" in shown.stdout

    def order(self, hosts: list[Host]) -> list[Host]:
        """Return the holder of the address last: then it moves once, not twice."""
        return sorted(hosts, key=lambda host: self.holds_address(host.name))

    def check_budget(self, hosts: list[str]) -> None:
        """Require a peer that stays."""
        check_share(self.platform, "edge", hosts)

    def refuses(self, host: Host) -> str:
        """Refuse no host."""
        del host
        return ""

    @contextmanager
    def out(self, host: str) -> Iterator[None]:
        """Hold an edge without the address for the block."""
        self.leave(host)
        try:
            yield
        except BaseException:
            self.say(f"{host} stays OUT: keepalived is stopped there, the act on it did not finish")
            self.say(f"when it is fit to serve: perennial fleet undrain {host} --env {self.platform.name}")
            raise
        must(self.runner.run(host, ["systemctl", "start", "keepalived.service"]), "starting keepalived")

    def leave(self, host: str) -> None:
        """Stop keepalived, whose goodbye lets a peer take over at once, and see the address there.

        Where no peer takes it, keepalived is started again: no address at all would be worse than the fault.
        """
        stop = ["systemctl", "stop", "keepalived.service"]
        must(self.runner.run(host, stop), "giving up the virtual address")
        try:
            self._wait_until_elsewhere(host)
        except PerennialError:
            must(
                self.runner.run(host, ["systemctl", "start", "keepalived.service"]), "taking the address back"
            )
            self.say(f"{host}: keepalived runs again, no other edge took the virtual address")
            raise

    def _wait_until_elsewhere(self, host: str) -> None:
        if self.runner.dry_run:
            return
        peers = [
            peer.name for peer in self.platform.with_role("edge", enabled_only=True) if peer.name != host
        ]
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_delay(self.leaves_seconds),
            wait=tenacity.wait_fixed(0.2),
            retry=tenacity.retry_if_exception_type(NotYetError),
            reraise=True,
        )
        try:
            retrying(self._require_elsewhere, host, peers)
        except NotYetError as error:
            raise PerennialError(str(error), where=host, next_="perennial fleet status") from error

    def _require_elsewhere(self, host: str, peers: list[str]) -> None:
        if self.holds_address(host):
            raise NotYetError("the virtual address does not leave")
        if not any(self.holds_address(peer) for peer in peers):
            raise NotYetError(
                f"no other edge has taken the virtual address: {', '.join(peers) or 'there is none'}"
            )


@dataclass
class DatabaseTier:
    """Databases: replicas only. Who writes is live state; moving it is a switchover, never a side effect."""

    platform: Platform
    runner: Runner
    writers: dict[str, bool] = field(default_factory=dict)

    @property
    def stopped_units(self) -> tuple[str, ...]:
        """Return the units that `out` holds stopped."""
        return ()

    def is_writer(self, host: str) -> bool:
        """Tell whether `host` takes writes; a server that does not answer is taken for the writer."""
        if host not in self.writers:
            asked = self.runner.run(host, ["mariadb", "-e", REPLICATION], safe=True, timeout=20)
            self.writers[host] = not asked.ok or is_writer(replication_fields(asked.stdout))
        return self.writers[host]

    def order(self, hosts: list[Host]) -> list[Host]:
        """Return replicas first."""
        return sorted(hosts, key=lambda host: self.is_writer(host.name))

    def check_budget(self, hosts: list[str]) -> None:
        """Keep as many servers as the pool demands."""
        check_share(self.platform, "database", hosts)

    def refuses(self, host: Host) -> str:
        """Refuse the writer, with the command that moves it."""
        if not self.is_writer(host.name):
            return ""
        return (
            "switchover needed, it is the writer: "
            f"perennial fleet switchover --env {self.platform.name}, then again"
        )

    @contextmanager
    def out(self, host: str) -> Iterator[None]:
        """Do nothing: no listener sends traffic to a replica."""
        del host
        yield


@dataclass
class OtherTier:
    """Roles without a pool (monitoring, logs, control, base): one host at a time, nothing to drain."""

    @property
    def stopped_units(self) -> tuple[str, ...]:
        """Return the units that `out` holds stopped."""
        return ()

    def order(self, hosts: list[Host]) -> list[Host]:
        """Return the hosts as they come."""
        return hosts

    def check_budget(self, hosts: list[str]) -> None:
        """Allow every host."""
        del hosts

    def refuses(self, host: Host) -> str:
        """Refuse no host."""
        del host
        return ""

    @contextmanager
    def out(self, host: str) -> Iterator[None]:
        """Do nothing."""
        del host
        yield


def tier(role: str, platform: Platform, runner: Runner, say: Callable[[str], None] = say_on_stderr) -> Tier:
    """Return how members of `role` leave and come back."""
    if role == "app":
        return AppTier(Pool(platform, runner, say=say))
    if role == "edge":
        return EdgeTier(platform, runner, say)
    return DatabaseTier(platform, runner) if role == "database" else OtherTier()
