# SPDX-License-Identifier: Apache-2.0
"""A copy of the checkout as it stands, uncommitted changes included, that acts on the same state and lock."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from infra.spec import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = (".state", ".venv", ".tools/pulumi-home")


def _git(*arguments: str) -> list[str]:
    command = ["git", "-C", str(CHECKOUT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [name for name in done.stdout.split("\0") if name]


@contextmanager
def copied_checkout() -> Iterator[Path]:
    """Give a clone with the working tree's changes, acting on the same state; it goes with the block."""
    with tempfile.TemporaryDirectory(prefix="bench-checkout-") as folder:
        copy = Path(folder) / "checkout"
        subprocess.run(["git", "clone", "-q", "--shared", str(CHECKOUT), str(copy)], timeout=300, check=True)
        for name in _git("ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard"):
            _follow(CHECKOUT / name, copy / name)
        for name in _git("diff", "-z", "--name-only", "--cached", "--no-renames"):
            _follow(CHECKOUT / name, copy / name)
        for name in SHARED:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).symlink_to(CHECKOUT / name)
        for tools in ("bin", "pulumi"):
            _own_tools(CHECKOUT / ".tools" / tools, copy / ".tools" / tools, copy)
        yield copy


def _own_tools(source: Path, target: Path, copy: Path) -> None:
    """Copy a folder of tools: they find their checkout, and each other, by the place they really lie in."""
    target.mkdir()
    for tool in source.iterdir():
        real = tool.resolve()
        if tool.is_symlink() and real.is_relative_to(CHECKOUT):
            (target / tool.name).symlink_to(copy / real.relative_to(CHECKOUT))
        else:
            shutil.copy2(tool, target / tool.name, follow_symlinks=False)


def _follow(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def add_host(environment: Path, name: str, like: str, address: str) -> None:
    """Add a host like another one, at `address`, to an environment's file, whose rest stays as it is."""
    yaml = YAML()
    yaml.preserve_quotes = True
    document: dict[str, Any] = yaml.load(environment.read_text(encoding="utf-8"))
    document["hosts"][name] = {**deepcopy(document["hosts"][like]), "address": address}
    with environment.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
