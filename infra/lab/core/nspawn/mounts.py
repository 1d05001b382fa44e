# SPDX-License-Identifier: Apache-2.0
"""Mounts on the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from infra.lab.core.errors import LabError
from infra.lab.core.process import Budget, run


@dataclass(frozen=True)
class MountPoint:
    """One line of the kernel's mount table."""

    path: Path
    kind: str
    source: str
    options: str


def mount_table() -> list[MountPoint]:
    """All mounts, oldest first."""
    table = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, right = line.split(" - ", 1)
        kind, source, options = right.split(" ", 2)
        table.append(MountPoint(Path(_unescape(left.split(" ")[4])), kind, _unescape(source), options))
    return table


def mounted(path: Path) -> MountPoint | None:
    """The uppermost mount on a path, or None."""
    return next((entry for entry in reversed(mount_table()) if entry.path == path), None)


def unmount_below(path: Path, budget: Budget) -> None:
    """Unmount everything on and below a path; the newest first."""
    for entry in reversed(mount_table()):
        if entry.path == path or path in entry.path.parents:
            try:
                run(["umount", entry.path], budget)
            except LabError:  # busy: it goes away with its last user, and its name goes now
                run(["umount", "--lazy", entry.path], budget)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
