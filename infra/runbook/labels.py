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
ENVIRONMENT = "PERENNIAL_ENV"  # the one variable of a block that is no label
PLAIN = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./:@+-]*")  # means itself wherever it stands in a shell
# What a shell does not expand comes first, so that a match there is no variable.
EXPANDED = re.compile(
    r"""(?:<<-?'(?P<end>\w+)'.*?^\s*(?P=end)$|'[^']*'|\\.)|(?P<double>"(?:\\.|[^"\\])*")"""
    r"""|\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))""",
    re.DOTALL | re.MULTILINE,
)
ASSIGNED = re.compile(r"(?:^|[\s;&|(])(\w+)\+?=|\bfor (\w+)\b|\bread((?: +-\w+)*(?: +\w+)+)", re.MULTILINE)


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


def filled(text: str, labels: Mapping[str, str]) -> str:
    """Return a shell block for reading, with each label that is a plain word in place of its variable.

    What the block sets itself, and what its shell would not expand, stays as it is.
    """
    own = _assigned(text)

    def word(match: re.Match[str]) -> str:
        """Return what stands in the place of one part of the text."""
        if match["double"]:
            return f'"{EXPANDED.sub(word, match["double"][1:-1])}"'
        name = match["braced"] or match["bare"]
        value = "" if name is None or name in own else labels.get(name, "")
        return value if PLAIN.fullmatch(value) else match[0]

    return EXPANDED.sub(word, text)


def wanted(block: Block) -> set[str]:
    """Return the labels, and the environment, that a block's text and host name as variables."""
    host = block.attributes.host
    names = {host[1:]} if host.startswith("$") else set()
    if block.language == "promql":
        return names | set(USED.findall(block.text))
    return names | (_expanded(block.text) - _assigned(block.text))


def _expanded(text: str) -> set[str]:
    """Return the variables that a shell would expand in a text and that may be of its page."""
    found = set()
    for match in EXPANDED.finditer(text):
        if match["double"]:
            found |= _expanded(match["double"][1:-1])
        elif name := match["braced"] or match["bare"]:
            found |= {name} if NAME.fullmatch(name) or name == ENVIRONMENT else set()
    return found


def _assigned(text: str) -> set[str]:
    """Return the variables that a shell text sets."""
    found = ASSIGNED.findall(text)
    return {name for one in found for words in one for name in words.split()}


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
