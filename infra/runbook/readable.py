# SPDX-License-Identifier: Apache-2.0
"""A page as a person reads it: each block under its name, class and hosts, its variables filled in."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from infra.fleet.exits import PerennialError
from infra.runbook import labels as variables
from infra.runbook.page import Class

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.runbook.page import Block, Page
    from infra.spec import Platform

WHERE = {"control": "the control host (`cd /opt/perennial/current`)"}
WHAT = {Class.OBSERVE: "observe", Class.CHANGE: "change", Class.DESTROY: "destroy, cannot be undone"}


def readable(page: Page, known: Mapping[str, str], platform: Platform | None = None) -> str:
    """Return the page's Markdown with `known` labels and, where there is a platform, the names of hosts.

    Labels are other people's words: one that is no plain word stays a variable, whose value is set at the
    beginning of the page, quoted. So does what a program of a block reads from its environment. In PromQL,
    which has no variables, labels stand as escaped strings.
    """
    lines = page.text.splitlines()
    for block in reversed(page.blocks):
        fence, _, _ = lines[block.line - 1].partition(block.language)
        end = block.line + len(block.text.splitlines())
        text = (variables.query if block.language == "promql" else variables.filled)(block.text, known)
        head = ["", f"### {_heading(block, known, platform)}", "", *_conditions(block)]
        lines[block.line - 1 : end] = [*head, f"{fence}{block.language}", *text.splitlines()]
    title, *rest = lines[page.text[: len(page.text) - len(page.body)].count("\n") :]
    text = "\n".join([title, *_set(page, known), *_missing(page, known), *rest])
    return re.sub(r"\n{3,}", "\n\n", text) + "\n"


def _heading(block: Block, known: Mapping[str, str], platform: Platform | None) -> str:
    """Return name, class and hosts of a block."""
    about = block.attributes
    undo = ", only to undo" if about.only == "rollback" else ""
    place = "in Prometheus" if block.language == "promql" else f"on {_where(about.host, known, platform)}"
    return f"{about.name}: {WHAT[about.kind]}{undo}, {place}"


def _conditions(block: Block) -> list[str]:
    """Return the line that says which looks decide about a block, and when its own look holds."""
    about = block.attributes
    only = [f"`{name}` holds" for name in about.requires]
    spared = [f"`{name}` holds" for name in about.unless]
    words = [f"Only if {' and '.join(only)}."] if only else []
    words += [f"Not if {' or '.join(spared)}."] if spared else []
    expect = about.expect
    wanted = [f"exit {expect.exit}"] if expect.exit else []
    wanted += ["no answer"] if expect.empty else []
    wanted += [f"`{expect.regex}` in its answer"] if expect.regex else []
    wanted += [f"no `{expect.not_regex}` in its answer"] if expect.not_regex else []
    words += [f"Holds with {' and '.join(wanted)}."] if wanted else []
    return [" ".join(words), ""] if words else []


def _where(word: str, known: Mapping[str, str], platform: Platform | None) -> str:
    """Return the hosts that a block's `host` means, as far as that is known."""
    word = known.get(word[1:], word) if word.startswith("$") else word
    if platform is None or word == "control" or word.startswith("$"):
        return WHERE.get(word, f"`{word}`")
    try:
        return ", ".join(f"`{name}`" for name in variables.select(platform, word))
    except PerennialError:  # a label given by hand may name no host: the page is read all the same
        return f"`{word}`"


def _set(page: Page, known: Mapping[str, str]) -> list[str]:
    """Return the block that sets the variables which commands of the page name."""
    texts = "\n".join(block.text for block in page.blocks)
    used = {name: value for name, value in known.items() if re.search(rf"[${{\"']{name}\b", texts)}
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in used.items())
    return ["", "```bash", f"export {words}", "```"] if words else []


def _missing(page: Page, known: Mapping[str, str]) -> list[str]:
    """Return the line that says how the variables without a value get one."""
    wanted = {name for block in page.blocks for name in variables.wanted(block)} - set(known)
    if not wanted:
        return []
    names = ", ".join(f"`${name}`" for name in sorted(wanted))
    how = " ".join(f"--label {name}=…" for name in sorted(wanted - {variables.ENVIRONMENT}))
    return ["", f"> {names}: labels of the alert, not known here. Fill them in: `{how or '--env …'}`"]
