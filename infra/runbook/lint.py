# SPDX-License-Identifier: Apache-2.0
"""What a page must be so that a person at 03:00, and later a program, can follow it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from infra.runbook.page import Class, Finding, Page, read
from infra.runbook.rules import Alert, alerts
from infra.spec import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PAGES = CHECKOUT / "runbooks" / "alerts"
SECTIONS = ("Meaning", "Impact", "Diagnosis", "Mitigation", "Verification")
OPTIONAL = ("Rollback", "Escalation", "Record")
FIRST_ACTION_LINE = 20  # a person who was woken reads no more before the first command
UNFINISHED = re.compile(r"\b(TO-?DO|TBD|FIX-?ME|X{3})\b")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def check(folder: Path = PAGES, known: Mapping[str, Alert] | None = None) -> list[Finding]:
    """Return everything that is wrong with the pages of `folder`, and alerts without one."""
    rules = alerts() if known is None else known
    pages = [read(path) for path in sorted(folder.glob("*.md"))]
    missing = sorted(set(rules) - {page.path.stem for page in pages})
    found = [Finding(folder / f"{name}.md", 1, f"alert {name} has no page") for name in missing]
    for page in pages:
        found += sorted([*page.findings, *_about(page, rules)], key=lambda finding: finding.line)
    return found


def _about(page: Page, rules: Mapping[str, Alert]) -> Iterator[Finding]:
    yield from _identity(page, rules)
    yield from _shape(page)
    yield from _blocks(page)
    for number, line in enumerate(page.text.splitlines(), 1):
        if found := UNFINISHED.search(line):
            yield Finding(page.path, number, f"unfinished: {found[1]}")
        for target in LINK.findall(line):
            if not (page.path.parent / target).exists():
                yield Finding(page.path, number, f"link to {target}, which is not there")


def _identity(page: Page, rules: Mapping[str, Alert]) -> Iterator[Finding]:
    name = page.path.stem
    if page.title != name:
        yield Finding(page.path, 1, f"title is {page.title!r}, not {name!r}")
    if name not in rules:
        near = get_close_matches(name, rules, 1)
        yield Finding(page.path, 1, f"no alert {name}" + (f" (did you mean {near[0]}?)" if near else ""))
    elif page.front is not None:
        if page.front.alert != name:
            yield Finding(page.path, 1, f"front matter is of {page.front.alert}")
        if page.front.rule_hash != rules[name].hash:
            yield Finding(
                page.path,
                1,
                f"the rule has changed: read the page again, then set rule_hash: {rules[name].hash}",
            )


def _shape(page: Page) -> Iterator[Finding]:
    names = [name for _, name in page.sections]
    if tuple(name for name in names if name in SECTIONS) != SECTIONS:
        yield Finding(page.path, 1, f"sections are {', '.join(names)}; wanted {', '.join(SECTIONS)}")
    for line, name in page.sections:
        if name not in SECTIONS + OPTIONAL:
            yield Finding(page.path, line, f"unknown section {name}")
    if not page.blocks:
        yield Finding(page.path, 1, "no block can be run")
    elif page.blocks[0].line > FIRST_ACTION_LINE:
        yield Finding(page.path, page.blocks[0].line, f"the first command is below line {FIRST_ACTION_LINE}")
    starts = {name: line for line, name in page.sections}
    if "Verification" in starts and not [b for b in page.blocks if b.line > starts["Verification"]]:
        yield Finding(page.path, starts["Verification"], "nothing verifies that the trouble is over")


def _blocks(page: Page) -> Iterator[Finding]:
    names = [block.attributes.name for block in page.blocks]
    for block in page.blocks:
        about = block.attributes
        if names.count(about.name) > 1:
            yield Finding(page.path, block.line, f"several blocks are named {about.name}")
        for word in (*about.requires, *about.unless, *filter(None, [about.rollback])):
            if word not in names:
                near = get_close_matches(word, names, 1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                yield Finding(page.path, block.line, f"{about.name} names {word}, which is no block{hint}")
        if about.kind is Class.DESTROY and about.confirm != "token":
            yield Finding(page.path, block.line, f"{about.name} destroys and does not ask for a token")
        if about.kind is Class.OBSERVE and about.rollback:
            yield Finding(page.path, block.line, f"{about.name} only observes and names a rollback")
        if "{{" in block.text or re.search(r"<[a-z_]+>", block.text):
            yield Finding(
                page.path, block.line, f"{about.name} has a placeholder; labels are variables: $task"
            )
