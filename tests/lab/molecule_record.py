# SPDX-License-Identifier: Apache-2.0
"""Which state of a role has passed its molecule scenario: kept by a hash of what the scenario exercises."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.release import commit
from infra.spec import CHECKOUT
from tests.policy.repository import files, roles, text

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = CHECKOUT / "tests" / "evidence" / "molecule.json"
SCHEMA = "molecule/1"
PLUGINS = "infra/inventory/ansible"
# what every scenario runs with
ALWAYS = (".config/molecule", "ansible.cfg", "infra/inventory/variables.py")
# what a role reads outside its folder
ALSO = {"monitoring": ("alerts",), "control": ("requirements/run.txt",)}


def scenarios(root: Path = CHECKOUT) -> tuple[str, ...]:
    """Return the roles that have a scenario."""
    return tuple(role for role in roles(root) if (root / "roles" / role / "molecule").is_dir())


def used(role: str, root: Path = CHECKOUT) -> Iterator[Path]:
    """Yield the tracked files whose change may change what the role does: its own, and plug-ins it names."""
    folder = f"roles/{role}"
    own = [path for path in files(root) if _below(root, path, folder)]
    words = "\n".join(text(path) for path in own)
    yield from own
    for path in files(root):
        plugin = _below(root, path, PLUGINS) and path.stem in words
        if plugin or any(_below(root, path, place) for place in (*ALWAYS, *ALSO.get(role, ()))):
            yield path


def _below(root: Path, path: Path, place: str) -> bool:
    return path.relative_to(root).is_relative_to(place)


def tree_hash(role: str, root: Path = CHECKOUT) -> str:
    """Return a hash over names and contents of the files that `role` uses."""
    digest = hashlib.sha256()
    for path in sorted(set(used(role, root))):
        digest.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def read(path: Path = RECORD) -> dict[str, dict[str, Any]]:
    """Return role → its last recorded pass; empty where nothing was recorded."""
    if not path.exists():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))["roles"]
    return found


def recorded(role: str, now: str, path: Path = RECORD) -> dict[str, Any] | None:
    """Return the recorded pass of a role whose files hash to `now`, None where there is none."""
    found = read(path).get(role)
    return found if found and found["hash"] == now else None


def write(role: str, now: str, environment: str, seconds: float, path: Path = RECORD) -> None:
    """Count one more pass of a role; another hash starts anew."""
    before = recorded(role, now, path)
    entry = {
        "hash": now,
        "n": (before["n"] if before else 0) + 1,
        "environment": environment,
        "seconds": round(seconds, 1),
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    document = {"schema": SCHEMA, "roles": dict(sorted((read(path) | {role: entry}).items()))}
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    temporary.replace(path)
