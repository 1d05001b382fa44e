# SPDX-License-Identifier: Apache-2.0
"""Silences in Alertmanager for hosts under work; where it does not answer, that is said and work goes on."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from infra.fleet.exits import Exit, PerennialError
from infra.fleet.identity import current
from infra.fleet.journal import say_on_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from infra.inventory import Fleet

TIMEOUT_SECONDS = 5.0
LONGEST_MINUTES = 24 * 60.0  # by then somebody else is on call and does not know of it


def check(reason: str, minutes: float) -> None:
    """Raise PerennialError (64) where a silence has no reason, or no end within LONGEST_MINUTES."""
    if not reason.strip():
        raise PerennialError("a silence needs a reason", next_="--reason WHY", code=Exit.USAGE)
    if not 0 < minutes <= LONGEST_MINUTES:
        message = f"a silence ends within {LONGEST_MINUTES:g} minutes, not {minutes:g}"
        raise PerennialError(message, next_="--minutes 60", code=Exit.USAGE)


@dataclass
class Silences:
    """Alertmanager's API v2 on the first monitoring host."""

    base: str
    client: httpx.Client

    @classmethod
    def of(cls, fleet: Fleet) -> Silences | None:
        """Return the API of `fleet`, trusting its authority alone; None where no host monitors."""
        monitoring = fleet.platform.with_role("monitoring", enabled_only=True)
        if not monitoring:
            return None
        context = ssl.create_default_context(cadata=fleet.secret("authority")["certificate"])
        port = fleet.platform.services["alertmanager"].port
        client = httpx.Client(verify=context, timeout=TIMEOUT_SECONDS, trust_env=False)
        return cls(f"https://{monitoring[0].address}:{port}/api/v2", client)

    def add(self, hosts: Sequence[str], reason: str, minutes: float) -> str:
        """Silence every alert whose label `instance` is one of `hosts` and return the silence's id.

        Raises PerennialError (64); see `check`.
        """
        check(reason, minutes)
        begin = datetime.now(UTC)
        body: dict[str, Any] = {
            "matchers": [
                {"name": "instance", "value": "|".join(sorted(hosts)), "isRegex": True, "isEqual": True}
            ],
            "startsAt": begin.isoformat(),
            "endsAt": (begin + timedelta(minutes=minutes)).isoformat(),
            "createdBy": str(current()),
            "comment": reason,
        }
        answer = self.client.post(f"{self.base}/silences", json=body).raise_for_status()
        return str(answer.json()["silenceID"])

    def expire(self, silence: str) -> None:
        """End a silence now."""
        self.client.delete(f"{self.base}/silence/{silence}").raise_for_status()


@contextmanager
def silenced(
    silences: Silences | None,
    hosts: Sequence[str],
    reason: str,
    *,
    minutes: float = 30,
    say: Callable[[str], None] = say_on_stderr,
) -> Iterator[None]:
    """Silence the alerts of `hosts` for the block, `minutes` at most.

    WARNING: on an error in the block the silence stays until it expires; a host left drained would page
    otherwise.
    """
    identifier = _add(silences, hosts, reason, minutes, say)
    try:
        yield
    except BaseException:
        if identifier:
            say(f"alerts of {', '.join(hosts)} stay SILENCED, {minutes:g} min at most (silence {identifier})")
        raise
    if silences and identifier:
        try:
            silences.expire(identifier)
        except httpx.HTTPError as error:
            say(f"warning: silence {identifier} ends by itself within {minutes:g} minutes: {error}")


def _add(
    silences: Silences | None, hosts: Sequence[str], reason: str, minutes: float, say: Callable[[str], None]
) -> str:
    if silences is None:
        say("nothing to silence: no host monitors this environment")
        return ""
    try:
        return silences.add(hosts, reason, minutes)
    except httpx.HTTPError as error:
        say(f"warning: Alertmanager cannot be told, alerts of {', '.join(hosts)} may fire: {error}")
        return ""
