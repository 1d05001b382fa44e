# SPDX-License-Identifier: Apache-2.0
"""Labels of an alert as variables of its page: other people's words, which never become command text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from infra.fleet.exits import Exit, PerennialError
from infra.spec import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.runbook.page import Block
    from infra.spec import Platform

# Lower case only: a label named PATH or LD_PRELOAD would change what a command is.
NAME = re.compile(r"[a-z][a-z0-9_]*")
USED = re.compile(r"\$\{?([a-z][a-z0-9_]*)")


def parse(words: list[str]) -> dict[str, str]:
    """Return labels from `name=value` words; raise PerennialError (64) for a word that is none."""
    labels = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or not NAME.fullmatch(name) or not value:
            raise PerennialError(
                f"{word!r} is no label", where="--label", next_="--label task=wp-cron", code=Exit.USAGE
            )
        labels[name] = value
    return labels


def environment(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that may be variables of a shell; others are left out."""
    return {name: value for name, value in sorted(labels.items()) if NAME.fullmatch(name)}


def query(text: str, labels: Mapping[str, str]) -> str:
    """Return PromQL with each `$label` that is known as an escaped string between the quotes of the text."""

    def escaped(match: re.Match[str]) -> str:
        """Return a label's value as the inside of a PromQL string."""
        name = match[1]
        return json.dumps(labels[name], ensure_ascii=False)[1:-1] if name in labels else match[0]

    return USED.sub(escaped, text)


def hosts(block: Block, labels: Mapping[str, str], platform: Platform) -> tuple[str, ...]:
    """Return the names of the enabled hosts that a block's `host` means.

    Raises PerennialError (64) where it means none, or a label that the alert does not have or that names no
    host, and (4) where a block that changes something means more than its `max_hosts`.
    """
    about = block.attributes
    word = about.host
    if word.startswith("$"):
        name = word[1:]
        if name not in labels:
            next_ = f"--label {name}=…, or do it by hand"
            raise PerennialError(
                f"the alert has no label {name}", where=f"block {about.name}", next_=next_, code=Exit.USAGE
            )
        word = labels[name]
    found = select(platform, word, about.name)
    if block.changes and len(found) > about.max_hosts:
        raise PerennialError(
            f"{about.name} would change {len(found)} hosts ({', '.join(found)}), {about.max_hosts} at most",
            where=about.host,
            code=Exit.REFUSED,
        )
    return found


def select(platform: Platform, word: str, step: str = "") -> tuple[str, ...]:
    """Return the enabled hosts that a name, `role:NAME` or `control` means; raise PerennialError (64)."""
    role = "control" if word == "control" else word.removeprefix("role:") if ":" in word else ""
    if role:
        found = tuple(host.name for host in platform.with_role(role, enabled_only=True))
    else:
        found = tuple(name for name, host in platform.hosts.items() if name == word and not host.disabled)
    if not found:
        raise PerennialError(
            f"{word!r} is no enabled host of {platform.name}",
            where=f"block {step}" if step else "",
            nearest=nearest(word, platform.hosts),
            next_="perennial fleet list",
            code=Exit.USAGE,
        )
    return found[:1] if role == "control" else found
