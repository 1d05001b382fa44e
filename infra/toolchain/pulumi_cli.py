# SPDX-License-Identifier: Apache-2.0
"""Gets the Pulumi CLI: from PATH, by Pulumi's own installer, or from Go modules. Standard library only."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from infra.toolchain import go
from infra.toolchain.errors import ToolchainError
from infra.toolchain.paths import Paths

FLOOR = (3, 220, 0)
"""Oldest version that the project's programs, language host and provider are tested with."""
BUILT = "3.220.0"
"""Version that the installer is asked for and that infra/toolchain/pulumi-cli/go.mod requires."""

_INSTALLER = "https://get.pulumi.com"
_CONNECT_SECONDS = 5
_DOWNLOAD_SECONDS = 180
_SOURCE = "source.json"


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Return the version in what `pulumi version` prints; None for anything else, nothing included."""
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?", text.strip())
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def version_of(binary: Path) -> tuple[int, int, int] | None:
    """Ask a CLI for its version; None when it does not run or gives none."""
    quiet = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    command = [str(binary), "version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=quiet)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(done.stdout) if done.returncode == 0 else None


def is_usable(version: tuple[int, int, int] | None) -> bool:
    """Tell whether a version is at least the floor and of the same major line."""
    return version is not None and FLOOR <= version < (FLOOR[0] + 1, 0, 0)


def on_path(paths: Paths, search: str) -> Path | None:
    """Return the first `pulumi` program of the search path; wrappers (of any checkout) do not count."""
    for folder in search.split(os.pathsep):
        candidate = (Path(folder or ".") / "pulumi").resolve()
        if (
            not candidate.is_relative_to(paths.root)
            and os.access(candidate, os.X_OK)
            and _is_program(candidate)
        ):
            return candidate
    return None


def _is_program(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _identity(binary: Path) -> dict[str, object]:
    status = binary.stat()
    return {"path": str(binary), "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _place(paths: Paths, binary: Path, source: dict[str, object]) -> None:
    """Put a CLI at its place in one step, so that an interrupt leaves the old one or the new one."""
    folder = paths.pulumi.parent
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "pulumi.part"
    shutil.copy2(binary, part)
    part.chmod(0o755)
    part.rename(paths.pulumi)
    (folder / _SOURCE).write_text(json.dumps(source))


def _same_as_on_path(paths: Paths, found: Path) -> bool:
    try:
        source = json.loads((paths.pulumi.parent / _SOURCE).read_text())
    except (OSError, ValueError):
        return False
    return bool(source == _identity(found))


def _from_installer(paths: Paths) -> bool:
    """Run Pulumi's own installer into a folder of ours; False when that gives no usable CLI."""
    with tempfile.TemporaryDirectory(dir=paths.tools) as scratch:
        script, target = Path(scratch) / "install.sh", Path(scratch) / "cli"
        limits = ["--connect-timeout", str(_CONNECT_SECONDS), "--max-time", "30"]
        fetch = ["curl", "-fsSL", *limits, "-o", str(script), _INSTALLER]
        if subprocess.run(fetch, capture_output=True, check=False).returncode or not script.is_file():
            return False
        install = ["sh", str(script), "--version", BUILT, "--no-edit-path", "--install-root", str(target)]
        try:
            subprocess.run(install, capture_output=True, timeout=_DOWNLOAD_SECONDS, check=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False
        binary = target / "bin" / "pulumi"
        if not is_usable(version_of(binary)):
            return False
        _place(paths, binary, {"path": _INSTALLER})
    return True


def _from_modules(paths: Paths, say: Callable[[str], None]) -> None:
    compiler = go.ensure(paths, say)
    say(f"building Pulumi {BUILT} from Go modules (2 to 6 minutes the first time, some 3 GB in Go's caches)")
    with tempfile.TemporaryDirectory(dir=paths.tools) as scratch:
        binary = Path(scratch) / "pulumi"
        go.build(compiler, paths.root / "infra" / "toolchain" / "pulumi-cli", binary, BUILT)
        if not is_usable(version_of(binary)):
            raise ToolchainError("the Pulumi CLI that was just built does not run; run again: make setup")
        _place(paths, binary, {"path": "go modules"})


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    relative = os.path.relpath(target, link.parent)
    if not link.is_symlink() or link.readlink() != Path(relative):
        link.unlink(missing_ok=True)
        link.symlink_to(relative)


def link_commands(paths: Paths) -> None:
    """Link the wrapper into `.tools/bin`, and the language host beside the CLI, where the engine looks."""
    commands = paths.root / "infra" / "toolchain" / "bin"
    _link(paths.wrapper, commands / "pulumi")
    _link(paths.pulumi.parent / "pulumi-language-python", commands / "pulumi-language-python")


def ensure(paths: Paths, say: Callable[[str], None]) -> None:
    """Have a usable CLI at `.tools/pulumi/pulumi` and the commands around it.

    A usable CLI on PATH is copied, and copied again when it changes: the engine looks for the language host
    beside its own executable.

    Raises:
        ToolchainError: When all three ways fail; the message names the mend.
    """
    found = on_path(paths, os.environ.get("PATH", ""))
    if not is_usable(version_of(paths.pulumi)) or (found and not _same_as_on_path(paths, found)):
        if found and is_usable(version_of(found)):
            say(f"using the Pulumi CLI at {found}")
            _place(paths, found, _identity(found))
        elif not is_usable(version_of(paths.pulumi)):
            say("no usable Pulumi CLI on PATH; trying Pulumi's own installer")
            if not _from_installer(paths):
                _from_modules(paths, say)
    link_commands(paths)
