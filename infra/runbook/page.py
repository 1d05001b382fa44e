# SPDX-License-Identifier: Apache-2.0
"""One page: front matter, sections, and the blocks that carry attributes behind their language.

A block is a fence whose info string is a language and one JSON object, as ```` ```bash {"name": "look"} ````.
GitHub and every other reader still highlight it. A fence without attributes is an example.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from markdown_it import MarkdownIt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

if TYPE_CHECKING:
    from pathlib import Path

FENCE = "---\n"
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Seconds = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}[sm]$")]


class Strict(BaseModel):
    """No key that is not known; what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Class(StrEnum):
    """What a block may do: `observe` changes nothing, `change` can be undone, `destroy` cannot."""

    OBSERVE = "observe"
    CHANGE = "change"
    DESTROY = "destroy"


class Expect(Strict):
    """What must hold of a block's outcome: exit code, patterns in its output, or no result at all."""

    exit: int = 0
    regex: str = ""
    not_regex: str = ""
    empty: bool = False


class Attributes(Strict):
    """The JSON object behind a fence's language.

    `host` is a host's name, `role:NAME`, `$LABEL` of the alert, or `control`. `requires` names blocks whose
    expectation must hold on one of their hosts, `unless` such that must not hold on all of them. It changes
    `max_hosts` at most, only while `peers` other hosts of the role are healthy. Durations are seconds or
    minutes: `10s`, `5m`; for `wait` the expectation is looked at again until it holds.
    """

    name: Name
    host: Annotated[str, Field(pattern=r"^(role:[a-z-]+|\$[a-z_]+|control|[a-z]+-[0-9]+)$")]
    kind: Annotated[Class, Field(alias="class")]
    timeout: Seconds
    expect: Expect = Expect()
    requires: tuple[Name, ...] = ()
    unless: tuple[Name, ...] = ()
    rollback: Name | Literal[""] = ""
    only: Literal["", "rollback"] = ""
    confirm: Literal["none", "ask", "token"] = "ask"
    wait: Seconds | Literal[""] = ""
    max_hosts: Annotated[int, Field(ge=1, le=20)] = 1
    peers: Annotated[int, Field(ge=0, le=5)] = 0


class FrontMatter(Strict):
    """What stands between the first two lines of three dashes."""

    alert: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]+$")]
    rule_hash: str
    plan: str
    owner: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a page."""

    where: Path
    line: int
    what: str

    def __str__(self) -> str:
        """Return it as `file:line: what`."""
        return f"{self.where}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Block:
    """One runnable block: the line of its fence, its language, attributes and text."""

    line: int
    language: str
    attributes: Attributes
    text: str

    @property
    def changes(self) -> bool:
        """Tell whether the block may change something."""
        return self.attributes.kind is not Class.OBSERVE


def seconds(duration: str) -> int:
    """Return `10s` or `5m` in seconds, 0 for an empty one."""
    return int(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]] if duration else 0


@dataclass(frozen=True)
class Page:
    """A page as read; what could not be read is in `findings`."""

    path: Path
    text: str
    front: FrontMatter | None
    title: str
    sections: tuple[tuple[int, str], ...]
    blocks: tuple[Block, ...]
    findings: tuple[Finding, ...]

    def block(self, name: str) -> Block:
        """Return the block of that name; raise KeyError where there is none."""
        for block in self.blocks:
            if block.attributes.name == name:
                return block
        raise KeyError(name)

    def section(self, block: Block) -> str:
        """Return the name of the section that `block` stands in."""
        return next((name for line, name in reversed(self.sections) if line < block.line), "")

    @property
    def body(self) -> str:
        """Return the Markdown without its front matter."""
        return _split(self.text)[1]


def read(path: Path) -> Page:
    """Read a page; a mistake in it becomes a finding. Raises OSError where the file cannot be read."""
    text = path.read_text("utf-8")
    front_text, body = _split(text)
    offset = text[: len(text) - len(body)].count("\n")
    findings: list[Finding] = []
    front = _front(path, front_text, findings)
    title, sections, blocks = "", [], []
    tokens = MarkdownIt("commonmark").parse(body)
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        line = offset + (token.map[0] if token.map else 0) + 1
        if token.type == "heading_open" and following is not None:
            if token.tag == "h1":
                title = following.content
            elif token.tag == "h2":
                sections.append((line, following.content))
        elif token.type == "fence" and (block := _block(path, line, token.info, token.content, findings)):
            blocks.append(block)
    return Page(path, text, front, title, tuple(sections), tuple(blocks), tuple(findings))


def _split(text: str) -> tuple[str, str]:
    """Return front matter and the rest."""
    if not text.startswith(FENCE) or (end := text.find("\n" + FENCE, len(FENCE) - 1)) < 0:
        return "", text
    return text[len(FENCE) : end + 1], text[end + 1 + len(FENCE) :]


def _front(path: Path, text: str, findings: list[Finding]) -> FrontMatter | None:
    try:
        found: Any = YAML(typ="safe").load(text)
        return FrontMatter.model_validate(found or {})
    except YAMLError as error:
        findings.append(Finding(path, 1, f"front matter is no YAML: {' '.join(str(error).split())[:120]}"))
    except ValidationError as error:
        findings += [Finding(path, 1, f"front matter: {_said(item)}") for item in error.errors()]
    return None


def _block(path: Path, line: int, info: str, text: str, findings: list[Finding]) -> Block | None:
    language, _, attributes = info.strip().partition(" ")
    if not attributes.strip():
        return None
    try:
        return Block(line, language, Attributes.model_validate(json.loads(attributes)), text)
    except json.JSONDecodeError as error:
        findings.append(Finding(path, line, f"attributes are no JSON: {error.msg} at column {error.colno}"))
    except ValidationError as error:
        findings += [Finding(path, line, f"block: {_said(item)}") for item in error.errors()]
    return None


def _said(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    return re.sub(r"\s+", " ", f"{where}: {item['msg']}")
