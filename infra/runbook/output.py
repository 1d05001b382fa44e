# SPDX-License-Identifier: Apache-2.0
"""What of a block's output a person is shown: little where all went well, its end where something failed.

The whole output is in the log of the run. Of what Ansible prints, tasks that changed nothing are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MOST_LINES = 30  # about a screen with its headings
HEAD_LINES = 10
FAILED_LINES = 40  # what failed is told at the end, and what led there shortly before
HEADING = re.compile(r"^(PLAY|TASK|RUNNING HANDLER) \[")
RECAP = "PLAY RECAP"
QUIET = re.compile(r"^(ok|skipping|included): ")
LOUD = re.compile(r"^(changed|failed|fatal|rescued|\[(WARNING|ERROR|DEPRECATION WARNING)\])")
STARS = re.compile(r" \*{3,}$")


def excerpt(text: str, log: Path, *, failed: bool, whole: bool = False) -> list[str]:
    """Return the lines to show of a block's output, and how many more the log has.

    All of them with `whole`; the last 40 of what `failed`; of Ansible what changed, what failed and the
    recap; else all that fit a screen, or the first and the last ones.
    """
    lines = text.rstrip().splitlines()
    if whole:
        return lines
    if failed:
        return _cut(lines, 0, FAILED_LINES, len(lines), log)
    shown = _of_ansible(lines) if any(line.startswith(RECAP) for line in lines) else lines
    if len(shown) <= MOST_LINES:
        left_out = len(lines) - len(shown)
        return [*shown, *([_more(left_out, log)] if left_out else [])]
    return _cut(shown, HEAD_LINES, MOST_LINES - HEAD_LINES, len(lines), log)


def _cut(lines: list[str], head: int, tail: int, whole: int, log: Path) -> list[str]:
    """Return the first and the last lines, between them how many of the `whole` output are not there."""
    if len(lines) <= head + tail:
        return lines
    return [*lines[:head], _more(whole - head - tail, log), *lines[len(lines) - tail :]]


def _more(count: int, log: Path) -> str:
    return f"… {count} lines more in {log}"


def _of_ansible(lines: list[str]) -> list[str]:
    """Return the tasks that changed or failed, warnings, the recap, and what is not Ansible's."""
    shown: list[str] = []
    for section in _sections(lines):
        told = [line for line in section if not QUIET.match(line) and line.strip()]
        if not HEADING.match(section[0]) or any(LOUD.match(line) for line in told[1:]):
            shown += [STARS.sub("", line) for line in told]
    return shown


def _sections(lines: list[str]) -> list[list[str]]:
    """Return the lines by heading; what stands before the first one is a section too."""
    sections: list[list[str]] = []
    for line in lines:
        if not sections or HEADING.match(line) or line.startswith(RECAP):
            sections.append([])
        sections[-1].append(line)
    return sections
