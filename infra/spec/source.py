# SPDX-License-Identifier: Apache-2.0
"""YAML files with the line of every key, so that an error can name its place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from infra.spec.errors import Problem, SpecError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One parsed file: its name for messages, plain data, and the tree that knows lines."""

    name: str
    data: dict[str, Any]
    tree: CommentedMap

    def line(self, path: tuple[str | int, ...]) -> int:
        """Return the line (from 1) of the deepest part of `path` that the file has."""
        node: Any = self.tree
        line = 0
        for part in path:
            try:
                line = _line_of(node, part)
                node = node[part]
            except (KeyError, IndexError, TypeError):
                break
        return line + 1

    def problem(self, path: tuple[str | int, ...], message: str, nearest: str = "") -> Problem:
        """Return a problem at `path` of this file."""
        return Problem(self.name, self.line(path), ".".join(str(part) for part in path), message, nearest)


def _line_of(node: CommentedMap | CommentedSeq, part: str | int) -> int:
    position = node.lc.key(part) if isinstance(node, CommentedMap) else node.lc.item(part)
    return int(position[0])


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node


@lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    """Return the tree of a text; nobody changes one. Reading a description again parses what is new alone."""
    return YAML(typ="rt").load(text)


def read(path: Path, name: str) -> Source:
    """Return the parsed file `path`, called `name` in messages.

    Raises SpecError where the file is missing, is not YAML, repeats a key, or is not a mapping.
    """
    try:
        tree = _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecError([Problem(name, 0, "", "file is missing")]) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise SpecError([Problem(name, line, "", f"not valid YAML: {error.problem}")]) from error
    if not isinstance(tree, CommentedMap):
        raise SpecError([Problem(name, 1, "", "must be a mapping of names to values")])
    return Source(name, _plain(tree), tree)
