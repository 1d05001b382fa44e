# SPDX-License-Identifier: Apache-2.0
"""Keeps `.venv` equal to the hash-locked requirements. Standard library only."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from infra.toolchain.errors import ConfigurationError, ToolchainError
from infra.toolchain.paths import Paths

MINIMUM_PYTHON = (3, 11)
_RECORD = "perennial.json"
_LAUNCHER = """#!{python}
# Starts the `perennial` command of the checkout that this environment belongs to; written by `make setup`.
import sys

from infra.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
"""


def site_packages(paths: Paths) -> Path | None:
    """Return the environment's folder of libraries; None when there is not exactly one."""
    found = sorted(paths.venv.glob("lib/python3.*/site-packages"))
    return found[0] if len(found) == 1 else None


def interpreter_runs(paths: Paths) -> bool:
    """Tell whether the environment's interpreter starts (an upgrade of the system's Python breaks it)."""
    try:
        done = subprocess.run([str(paths.python), "-c", ""], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def is_usable(paths: Paths) -> bool:
    """Tell whether the environment can be installed into; one whose making was cut short has no installer."""
    return interpreter_runs(paths) and (_has_module(paths, "uv") or _has_module(paths, "pip"))


def distributions(libraries: Path) -> list[str]:
    """List the installed distributions by the names of their metadata folders; one without RECORD is not."""
    return sorted(item.parent.name for item in libraries.glob("*.dist-info/RECORD"))


def lock_digest(lock: Path) -> str:
    """Return the SHA-256 of the lock file, in hexadecimal."""
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def is_current(paths: Paths) -> bool:
    """Tell whether the environment holds what the lock says.

    Looks at the environment itself: the interpreter starts and each distribution that the last installation
    left is still there; the lock must be the one of that installation.
    """
    libraries = site_packages(paths)
    if libraries is None or not interpreter_runs(paths):
        return False
    try:
        record = json.loads((paths.venv / _RECORD).read_text())
    except (OSError, ValueError):
        return False
    wanted = set(record.get("distributions", []))
    present = wanted <= set(distributions(libraries))
    return record.get("lock") == lock_digest(paths.lock) and bool(wanted) and present


def requirement(lock_text: str, name: str) -> str:
    """Return the lock's entry for one distribution, hashes included.

    Raises:
        ConfigurationError: When the lock does not hold it.
    """
    entry = re.search(rf"^{re.escape(name)}==(?:.*\\\n)*.*$", lock_text, re.MULTILINE)
    if entry is None:
        raise ConfigurationError(f"requirements/dev.txt does not lock {name}; run: make lock")
    return entry.group(0) + "\n"


def _run(command: list[str]) -> bool:
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == 0


def _create(paths: Paths) -> None:
    if sys.version_info < MINIMUM_PYTHON:
        version = sys.version.split()[0]
        raise ConfigurationError(f"Python {version} is too old; 3.11 or later is needed (Debian 12 or 13)")
    if paths.venv.exists():
        shutil.rmtree(paths.venv)
    if not _run([sys.executable, "-m", "venv", str(paths.venv)]):
        raise ToolchainError("the virtual environment could not be made; run: apt-get install python3-venv")


def _has_module(paths: Paths, name: str) -> bool:
    program = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({name!r}))"
    return _run([str(paths.python), "-c", program])


def _install(paths: Paths, say: Callable[[str], None]) -> None:
    python = str(paths.python)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    if not _has_module(paths, "uv"):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as only_uv:
            only_uv.write(requirement(paths.lock.read_text(), "uv"))
            only_uv.flush()
            _run([*pip, "--no-deps", "-r", only_uv.name])
    uv = [python, "-m", "uv", "pip", "sync", "--quiet", "--python", python, "--require-hashes"]
    if _has_module(paths, "uv") and _run([*uv, str(paths.lock)]):
        return
    say("uv could not install the libraries; pip takes over (slower)")
    if not _run([*pip, "-r", str(paths.lock)]):
        raise ToolchainError("the libraries could not be installed; check the network, then: make setup")


def _write_if_changed(path: Path, text: str, mode: int) -> None:
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)
    path.chmod(mode)


def link_checkout(paths: Paths) -> None:
    """Make the checkout importable in its environment and write the `perennial` launcher."""
    libraries = site_packages(paths)
    if libraries is None:
        raise ToolchainError(f"{paths.venv} has no folder of libraries; run: rm -r {paths.venv}; make setup")
    _write_if_changed(libraries / "perennial.pth", f"{paths.root}\n", 0o644)
    _write_if_changed(paths.venv / "bin" / "perennial", _LAUNCHER.format(python=paths.python), 0o755)


def _write_record(paths: Paths) -> None:
    libraries = site_packages(paths)
    found = distributions(libraries) if libraries else []
    (paths.venv / _RECORD).write_text(json.dumps({"lock": lock_digest(paths.lock), "distributions": found}))


def ensure(paths: Paths, say: Callable[[str], None]) -> None:
    """Bring `.venv` in order: made when missing or broken, libraries as the lock says, launcher written.

    Raises:
        ToolchainError: When that fails; the message names the mend.
    """
    if not is_current(paths):
        if not is_usable(paths):
            say("making the virtual environment .venv")
            _create(paths)
        say("installing the libraries of requirements/dev.txt (about 130, up to a minute or two)")
        (paths.venv / _RECORD).unlink(missing_ok=True)
        _install(paths, say)
        _write_record(paths)
    link_checkout(paths)
