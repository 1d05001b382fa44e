# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a description: problems name file, line, key and nearest valid value."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, order=True)
class Problem:
    """One rule broken at one place.

    `file` is relative to the checkout, `line` counts from 1 (0 where no line is known), `key` has dots.
    """

    file: str
    line: int
    key: str
    message: str
    nearest: str = ""

    def __str__(self) -> str:
        """Return `file:line: key: message`, with the nearest valid value where there is one."""
        hint = f" (did you mean {self.nearest!r}?)" if self.nearest else ""
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}: {key}{self.message}{hint}"


class SpecError(Exception):
    """The description is not valid; `problems` holds everything found, sorted by place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep the problems, sorted and without repetition."""
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return the valid word most like `word`, or '' where none is near."""
    found = get_close_matches(word, list(valid), n=1, cutoff=0.6)
    return found[0] if found else ""
