# SPDX-License-Identifier: Apache-2.0
"""Which release this checkout is: a control host was told in a file, a clone asks git."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from infra.spec import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = "RELEASE.json"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Release:
    """A commit and its name: the nearest tag or the short commit; both `unknown` elsewhere."""

    commit: str
    name: str


def release(checkout: Path = CHECKOUT) -> Release:
    """Return the release of `checkout`, read once a process so that all that it writes names the same one."""
    return _read(checkout)


@cache
def _read(checkout: Path) -> Release:
    installed = checkout / IDENTITY
    if installed.exists():
        identity = json.loads(installed.read_text("utf-8"))
        return Release(identity["commit"], identity["release"])
    commit = git(checkout, "rev-parse", "HEAD")
    return Release(commit, git(checkout, "describe", "--tags", "--always", commit))


@cache
def commit(checkout: Path = CHECKOUT) -> str:
    """Return the commit, `-dirty` where the files of a clone differ from it."""
    found = release(checkout).commit
    installed = (checkout / IDENTITY).exists()
    differs = not installed and found != UNKNOWN and git(checkout, "status", "--porcelain")
    return f"{found}-dirty" if differs else found


def git(checkout: Path, *arguments: str) -> str:
    """Return what git says about `checkout`, or `unknown` where it is no clone or git is not there."""
    command = ["git", "-C", str(checkout), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return UNKNOWN
    return done.stdout.strip() if done.returncode == 0 else UNKNOWN
