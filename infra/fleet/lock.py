# SPDX-License-Identifier: Apache-2.0
"""Named locks that live on the fleet, so that two control hosts, or an operator and one, exclude each other.

The lock host is the first enabled control host of the environment file; without one the first enabled
database host, else the first enabled host. Everybody computes it from the description alone; when it cannot
be reached, nobody acts.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from infra.fleet.exits import Exit, PerennialError
from infra.fleet.identity import Identity, current
from infra.fleet.journal import say_on_stderr
from infra.fleet.remote import SshRunner, must

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.fleet.remote import Runner
    from infra.inventory import Fleet
    from infra.spec import Platform

FLEET = "fleet"
TTL_SECONDS = 300.0
NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


class Lock(Protocol):
    """A lock that is held."""

    name: str

    def check(self) -> None:
        """Raise PerennialError (8) when the lock was lost: whoever holds it calls this before each change."""
        ...


@dataclass
class NullLock:
    """Held where there is no fleet yet: the first `make up` has nobody to exclude but this machine."""

    name: str = FLEET

    def check(self) -> None:
        """Do nothing."""


def lock_host(platform: Platform) -> str:
    """Return the host that keeps the locks of this platform."""
    for role in ("control", "database", "base"):
        hosts = platform.with_role(role, enabled_only=True)
        if hosts:
            return hosts[0].name
    raise PerennialError("every host is disabled", where=platform.name, code=Exit.USAGE)


@cache
def _program() -> str:
    return Path(__file__).with_name("lock_program.py").read_text("utf-8")


@dataclass
class FleetLock:
    """One named lock on the lock host; `ttl` (seconds) is how long it outlives a holder that went silent."""

    runner: Runner
    host: str
    name: str
    reason: str
    ttl: float = TTL_SECONDS
    say: Callable[[str], None] = say_on_stderr
    token: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)
    lost: str = ""

    def __post_init__(self) -> None:
        """Refuse names that are not plain words: they become file names."""
        if not NAME.fullmatch(self.name):
            raise PerennialError(
                f"lock name {self.name!r} must be lower-case words with dashes", code=Exit.USAGE
            )

    def acquire(self) -> None:
        """Take the lock; raise PerennialError (8) naming owner, reason and age while somebody else holds it.

        An expired lock is taken over, and so is one whose process is known to be dead on this very machine.
        """
        reply = self._ask("acquire")
        holder = reply["holder"]
        if not reply["granted"] and Identity(**holder["process"]).is_dead():
            self.say(f"lock {self.name}: its holder {holder['owner']} is dead, taking over")
            reply = self._ask("acquire", replaces=holder["token"])
            holder = reply["holder"]
        if not reply["granted"]:
            raise _locked(self.name, self.host, holder)

    def refresh(self) -> bool:
        """Prolong the lock by its time to live; return whether it is still ours."""
        return bool(self._ask("refresh")["granted"])

    def release(self) -> None:
        """Give the lock back; one that is somebody else's by now is left alone."""
        self._ask("release")

    def holder(self) -> dict[str, Any] | None:
        """Return owner, reason, age and expires_in (seconds) of the holder, None when nobody holds it."""
        found: dict[str, Any] | None = self._ask("show")["holder"]
        return found

    def check(self) -> None:
        """Raise PerennialError (8) when a refresh found the lock gone."""
        if self.lost:
            message = f"lock {self.name} was lost: {self.lost}"
            raise PerennialError(
                message, where=self.host, next_="perennial fleet lock show", code=Exit.LOCKED
            )

    def _ask(self, action: str, replaces: str = "") -> dict[str, Any]:
        me = current()
        request = {
            "action": action, "name": self.name, "token": self.token, "owner": str(me),
            "process": me.as_data(), "reason": self.reason, "ttl": self.ttl, "replaces": replaces,
        }  # fmt: skip
        command = ["python3", "-c", _program()]
        result = self.runner.run(
            self.host, command, safe=action == "show", stdin=json.dumps(request), timeout=30
        )
        if result.skipped:
            return {"granted": True, "holder": None}
        reply: dict[str, Any] = json.loads(must(result, f"lock {self.name}: {action}").stdout)
        return reply


def _locked(name: str, host: str, holder: dict[str, Any]) -> PerennialError:
    message = f"lock {name} is held by {holder['owner']} for {holder['age']:.0f} s: {holder['reason']}"
    message += f"; expires in {max(0.0, holder['expires_in']):.0f} s unless refreshed"
    return PerennialError(message, where=host, next_="perennial fleet lock", code=Exit.LOCKED)


def _keep(lock: FleetLock, stop: threading.Event) -> None:
    """Refresh until told to stop; a lock host that is away for less than the time to live does no harm."""
    missed = 0.0
    interval = lock.ttl / 5
    while not stop.wait(interval):
        try:
            held, missed = lock.refresh(), 0.0
        except PerennialError as error:
            held, missed = True, missed + interval
            if missed >= lock.ttl - interval:
                held, lock.lost = False, str(error)
        if not held:
            lock.lost = lock.lost or "somebody else holds it"
            return


@contextmanager
def held(
    fleet: Fleet | None,
    reason: str,
    *,
    name: str = FLEET,
    ttl: float = TTL_SECONDS,
    runner: Runner | None = None,
    say: Callable[[str], None] = say_on_stderr,
) -> Iterator[Lock]:
    """Hold a lock on the fleet for the block, refreshed meanwhile, then released; NullLock without a fleet.

    Raises PerennialError (8) while somebody else holds it.
    """
    if fleet is None:
        yield NullLock(name)
        return
    runner = runner or SshRunner(fleet, dry_run=False)
    lock = FleetLock(runner, lock_host(fleet.platform), name, reason, ttl, say)
    lock.acquire()
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lock, stop), name=f"lock-{name}", daemon=True)
    keeper.start()
    try:
        yield lock
    finally:
        stop.set()
        keeper.join(timeout=35)
        try:
            lock.release()
        except PerennialError as error:
            say(f"warning: lock {name} stays until it expires ({ttl:.0f} s): {error}")
