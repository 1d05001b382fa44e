# SPDX-License-Identifier: Apache-2.0
"""Which hosts are meant: names, roles and globs to hosts; nothing matched is an error, never an empty act."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from infra.fleet.exits import Exit, PerennialError
from infra.spec import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.spec import Host, Platform

EVERY = "all"


def select(platform: Platform, words: Iterable[str]) -> tuple[Host, ...]:
    """Return the hosts that `words` (names, roles, globs, `all`) mean, in the order of the environment file.

    Disabled hosts are left out unless named exactly. Raises PerennialError (64) for a word that means no
    host.
    """
    chosen: set[str] = set()
    given = list(words)
    for word in given:
        found = _meant(platform, word)
        if not found:
            raise _nothing(platform, word)
        chosen |= found
    if not chosen:
        next_ = "name hosts, a role, or all"
        raise PerennialError("no hosts were named", where=platform.name, next_=next_, code=Exit.USAGE)
    return tuple(host for host in platform.hosts.values() if host.name in chosen)


def _meant(platform: Platform, word: str) -> set[str]:
    if word in platform.hosts:
        return {word}
    enabled = [host for host in platform.hosts.values() if not host.disabled]
    return {
        host.name for host in enabled if word == EVERY or word in host.roles or fnmatchcase(host.name, word)
    }


def _nothing(platform: Platform, word: str) -> PerennialError:
    known = [*platform.hosts, *platform.roles, EVERY]
    disabled = [
        host.name for host in platform.hosts.values() if host.disabled and fnmatchcase(host.name, word)
    ]
    if disabled:
        message = f"{word!r} means only disabled hosts: {', '.join(disabled)}"
        return PerennialError(message, where=platform.name, next_="name them exactly", code=Exit.USAGE)
    return PerennialError(
        f"no host, role or pattern {word!r}",
        where=platform.name,
        nearest=nearest(word, known),
        next_=f"perennial fleet list --env {platform.name}",
        code=Exit.USAGE,
    )
