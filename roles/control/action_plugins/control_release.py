# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible action: send this checkout's commit, and wheels for its Python, to a host that lacks them."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from infra.release import IDENTITY
from infra.release import release as release_of_checkout
from infra.spec import CHECKOUT

WHEELS = CHECKOUT / ".state" / "wheels"
LOCK = "requirements/run.txt"
# what Debian 13 on x86_64 runs: its Python, its glibc (2.41), packages that are pure or bring the stable ABI
PYTHON = "3.13"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


@dataclass(frozen=True)
class Release:
    """A commit, its name, its files by mode and hash, and the archive, which a control host does not have."""

    commit: str
    name: str
    manifest: dict[str, list[str]]
    archive: bytes | None
    dirty: bool


def git(*arguments: str) -> bytes:
    """Return what git prints about the checkout."""
    done = subprocess.run(
        ["git", "-C", str(CHECKOUT), *arguments], capture_output=True, timeout=120, check=False
    )
    if done.returncode != 0:
        raise AnsibleActionFail(f"git {' '.join(arguments)}: {done.stderr.decode().strip()}")
    return done.stdout


@cache
def this_release() -> Release:
    """Return the release of this checkout: HEAD of a clone, or what a control host was given."""
    # the one that the inventory has named to every host, also where somebody commits meanwhile
    identity = release_of_checkout()
    if (CHECKOUT / IDENTITY).exists():
        manifest = json.loads((CHECKOUT / "MANIFEST.json").read_text("utf-8"))
        return Release(identity.commit, identity.name, manifest, None, dirty=False)
    archive = git("archive", "--format=tar", identity.commit)
    dirty = bool(git("status", "--porcelain", "--untracked-files=no").strip())
    return Release(identity.commit, identity.name, manifest_of(archive), archive, dirty)


def manifest_of(archive: bytes) -> dict[str, list[str]]:
    """Return path → kind and hash (or target of a link) of every file in a tar archive."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            if member.issym():
                found[member.name] = ["link", member.linkname]
            elif member.isfile():
                content = files.extractfile(member)
                digest = hashlib.sha256(content.read() if content else b"").hexdigest()
                found[member.name] = ["exec" if member.mode & 0o100 else "file", digest]
    return found


def wheels(lock: str) -> Path:
    """Return a folder with the wheels that the lock names, fetched where they are not there yet."""
    folder = WHEELS / lock[:16]
    if (folder / "complete").exists():
        return folder
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
    ]
    command += ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    for abi in (f"cp{PYTHON.replace('.', '')}", "abi3", "none"):
        command += ["--abi", abi]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    command += ["--requirement", str(CHECKOUT / LOCK), "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0:
        raise AnsibleActionFail(f"cannot fetch wheels for Python {PYTHON}: {done.stderr.strip()[-1500:]}")
    (folder / "complete").touch()
    return folder


def packed(folder: Path) -> bytes:
    """Return the wheels of a folder as one tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for wheel in sorted(folder.glob("*.whl")):
            archive.add(wheel, arcname=wheel.name)
    return buffer.getvalue()


class ActionModule(ActionBase):
    """Look first; send only what the host lacks."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result; `missing` names what had to be made."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        release = this_release()
        # the lock of the release, not of the working tree: they may differ
        lock = release.manifest[LOCK][1]
        given = {
            "commit": release.commit,
            "release": release.name,
            "manifest": release.manifest,
            "lock": lock,
        }
        arguments = self._task.args | given
        found: dict[str, Any] = self._execute_module("control_release", arguments, task_vars=task_vars)
        if release.dirty:
            found.setdefault("warnings", []).append(
                f"files differ from HEAD; control hosts get HEAD ({release.name}) without these changes"
            )
        if self._task.check_mode or found.get("failed") or not found["changed"]:
            return result | found
        folder = self._make_tmp_path()
        try:
            needed = self._needed(release, lock, found["missing"])
            sent = {name: self._send(f"{folder}/{name}.tar", content) for name, content in needed}
            arguments |= sent | {"apply": True}
            applied = self._execute_module("control_release", arguments, task_vars=task_vars)
        finally:
            self._remove_tmp_path(folder)
        return result | found | applied

    def _needed(self, release: Release, lock: str, missing: list[str]) -> list[tuple[str, bytes]]:
        """Return the archives that the host lacks."""
        needed = []
        if "release" in missing:
            if release.archive is None:
                message = f"release {release.name} is damaged here and cannot be its own source"
                raise AnsibleActionFail(f"{message}; next, on the operator's machine: make converge")
            needed.append(("archive", release.archive))
        if "environment" in missing:
            if release.dirty and hashlib.sha256((CHECKOUT / LOCK).read_bytes()).hexdigest() != lock:
                raise AnsibleActionFail(f"{LOCK} differs from HEAD; next: git commit {LOCK}")
            needed.append(("wheels", packed(wheels(lock))))
        return needed

    def _send(self, remote: str, content: bytes) -> str:
        """Copy `content` to the path `remote` on the host and return that path."""
        with tempfile.NamedTemporaryFile(prefix="perennial-") as local:
            local.write(content)
            local.flush()
            self._transfer_file(local.name, remote)
        return remote
