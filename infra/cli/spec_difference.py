# SPDX-License-Identifier: Apache-2.0
"""What separates two descriptions, in words of the platform: entries added and removed, values changed."""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.fleet.exits import Exit, PerennialError
from infra.spec import CHECKOUT, SpecError, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.spec import Platform

ONE = {
    "hosts": "host", "services": "service", "sites": "site", "tasks": "task", "secrets": "secret",
    "roles": "role", "plan": "clause", "slos": "SLO", "sizes": "size", "teams": "team", "people": "person",
}  # fmt: skip
TELLING = {"hosts": ("address", "roles", "size_name"), "services": ("role", "port"), "tasks": ("calendar",)}
DERIVED = {"secret_definitions"}


def platform_at(revision: str, environment: str) -> Platform:
    """Return the platform as inventories/ described it at a git revision, read by today's rules.

    Raises PerennialError (64) for an unknown revision, and where today's rules refuse that description.
    """
    command = ["git", "-C", str(CHECKOUT), "archive", "--format=zip", revision, "inventories"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        reason = (done.stderr.decode(errors="replace").strip().splitlines() or ["no such revision"])[-1]
        raise PerennialError(
            f"cannot read {revision!r}: {reason}", next_="git log --oneline", code=Exit.USAGE
        )
    with tempfile.TemporaryDirectory() as directory:
        with zipfile.ZipFile(BytesIO(done.stdout)) as archive:
            archive.extractall(directory)
        try:
            return load(environment, Path(directory) / "inventories")
        except SpecError as error:
            first = f"{error.problems[0]} ({len(error.problems)} problems)"
            message = f"{revision} is not valid by today's rules: {first}"
            raise PerennialError(message, next_="choose a later revision", code=Exit.USAGE) from error


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return one line for each entry added or removed and for each value changed, sections in order."""
    lines: list[str] = []
    for section in after:
        if section in DERIVED or before.get(section) == after[section]:
            continue
        old, new = before.get(section), after[section]
        if section in ONE and isinstance(old, dict) and isinstance(new, dict):
            lines += _entries(section, old, new)
        else:
            lines += [f"{section}: {line}" for line in _values(old, new, "")]
    return lines


def _entries(section: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    word = ONE[section]
    for name in [name for name in old if name not in new]:
        yield f"{word} removed: {name}{_telling(section, old[name])}"
    for name in [name for name in new if name not in old]:
        yield f"{word} added: {name}{_telling(section, new[name])}"
    for name in [name for name in new if name in old and old[name] != new[name]]:
        for line in _values(old[name], new[name], ""):
            yield f"{word} {name}: {line}"


def _telling(section: str, entry: dict[str, Any]) -> str:
    shown = [f"{key.removesuffix('_name')} {entry[key]}" for key in TELLING.get(section, ())]
    return f" ({', '.join(shown)})" if shown else ""


def _values(old: Any, new: Any, path: str) -> Iterator[str]:
    """Yield a line for each leaf that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            if old.get(key) != new.get(key):
                yield from _values(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    else:
        yield f"{path or 'value'} {old!r} → {new!r}"
