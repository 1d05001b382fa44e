# SPDX-License-Identifier: Apache-2.0
"""Mends what an interrupted run leaves in Pulumi's file backend, so that the next `up` simply continues.

A killed CLI leaves its lock file (the next run is refused), operations that were under way (the next run
warns, and the entries stay) and, when the disk was full, perhaps half a state file. `recover_stack` puts all
three right, and only while this process holds the environment's own lock.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from infra.toolchain import passphrase
from infra.toolchain.environment_lock import HeldLock
from infra.toolchain.errors import (
    ConfigurationError,
    IntegrityError,
    KeyMissingError,
    LockedError,
    ToolchainError,
)
from infra.toolchain.paths import Paths

_CLI_SECONDS = 120


@dataclass
class Recovery:
    """What was found and mended; empty after a run that ended well."""

    stale_locks: int = 0
    pending: list[str] = field(default_factory=list)
    restored_from_backup: bool = False

    def lines(self) -> list[str]:
        """Tell it to a person, one line for each thing."""
        told = []
        if self.restored_from_backup:
            told.append("the state file was damaged; its backup, one step older, took its place")
        if self.stale_locks:
            told.append("removed the lock that an interrupted run left")
        if self.pending:
            told.append(
                f"an interrupted run left {len(self.pending)} operation(s) under way; this run redoes them"
            )
        return told


@dataclass(frozen=True)
class Stack:
    """One stack in this checkout's file backend."""

    project_folder: Path
    environment: str
    paths: Paths = field(default_factory=Paths)

    @property
    def project(self) -> str:
        """The project's name in Pulumi.yaml."""
        file = self.project_folder / "Pulumi.yaml"
        found = (
            re.search(r"^name:\s*\"?([\w.-]+)", file.read_text(), re.MULTILINE) if file.is_file() else None
        )
        if found is None:
            raise ConfigurationError(f"{file}: no Pulumi project with a name is here")
        return found[1]

    @property
    def state_file(self) -> Path:
        """The stack's state."""
        return self.paths.backend / ".pulumi" / "stacks" / self.project / f"{self.environment}.json"

    def lock_files(self) -> list[Path]:
        """Pulumi's own locks of the stack."""
        folder = self.paths.backend / ".pulumi" / "locks" / "organization" / self.project / self.environment
        return sorted(folder.glob("*.json"))

    def run(self, *arguments: str) -> str:
        """Run the CLI on the stack without a terminal; return what it printed.

        Raises:
            ToolchainError: When it fails; the message carries its own words.
        """
        own = {**os.environ, "PULUMI_STACK": self.environment}
        command = [str(self.paths.wrapper), *arguments]
        done = subprocess.run(
            command,
            cwd=self.project_folder,
            env=own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CLI_SECONDS,
            check=False,
        )
        if done.returncode:
            raise ToolchainError(
                f"pulumi {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout


def is_running_cli(process: int) -> bool:
    """Tell whether a process of this number is alive and is a Pulumi CLI (numbers are used again)."""
    try:
        return psutil.Process(process).name() == "pulumi"
    except psutil.Error:
        return False


def live_holder(lock: dict[str, Any], hostname: str) -> str | None:
    """Name who holds one of Pulumi's locks; None when the holder is gone.

    Args:
        lock: Content of the lock file: pid, username, hostname, timestamp.
        hostname: Name of this machine; a lock of another one cannot be judged from here and counts as live.
    """
    place = f"{lock.get('username')}@{lock.get('hostname')}"
    who = f"{place}, process {lock.get('pid')}, since {lock.get('timestamp')}"
    if lock.get("hostname") != hostname:
        return who
    return who if is_running_cli(int(lock.get("pid", 0))) else None


def _read_lock(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):  # cut short by a full disk, or just removed by its owner
        return {"hostname": socket.gethostname(), "pid": 0}
    return content if isinstance(content, dict) else {"hostname": socket.gethostname(), "pid": 0}


def _clear_locks(stack: Stack) -> int:
    files = stack.lock_files()
    for file in files:
        holder = live_holder(_read_lock(file), socket.gethostname())
        if holder:
            raise LockedError(
                f"Pulumi is at work on {stack.environment} ({holder}); wait until it ends, then run again. "
                f"If that run is certainly gone: cd {stack.project_folder} && pulumi cancel --yes"
            )
    if files:
        stack.run("cancel", "--yes")
    return len(files)


def _is_whole(state: Path) -> bool:
    try:
        return isinstance(json.loads(state.read_text()), dict)
    except (OSError, ValueError):
        return False


def _restore_damaged(state: Path) -> bool:
    if not state.exists() or _is_whole(state):
        return False
    backup = state.with_name(state.name + ".bak")
    if not _is_whole(backup):
        raise IntegrityError(
            f"{state} is damaged and so is its backup; older ones are in {state.parents[2] / 'backups'}: "
            f"copy the newest whole one over it, then run again"
        )
    state.rename(state.with_name(state.name + ".damaged"))
    copy = state.with_name(state.name + ".part")
    copy.write_bytes(backup.read_bytes())
    copy.rename(state)
    return True


def _check_passphrase(stack: Stack) -> None:
    salt = passphrase.salt_of(stack.state_file)
    file = Path(os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE") or stack.paths.passphrase)
    if salt is None or "PULUMI_CONFIG_PASSPHRASE" in os.environ:
        return
    if not file.is_file():
        raise KeyMissingError(f"{file} is missing; the secrets of {stack.environment} are encrypted with it")
    if not passphrase.fits(file.read_text().strip(), salt):
        raise KeyMissingError(
            f"{file} is not the passphrase that the secrets of {stack.environment} are encrypted with; "
            f"put the right one there (it was made together with {stack.state_file})"
        )


def _pending(state: Path) -> list[str]:
    latest = (json.loads(state.read_text()).get("checkpoint") or {}).get("latest") or {}
    return [operation["resource"]["urn"] for operation in latest.get("pending_operations") or []]


def _drop_pending(stack: Stack) -> list[str]:
    """Forget operations under way: Pulumi drops them on import, and our provider adopts what they made."""
    found = _pending(stack.state_file)
    if found:
        with tempfile.TemporaryDirectory(dir=stack.paths.state) as scratch:
            export = str(Path(scratch) / "state.json")
            stack.run("stack", "export", "--file", export)
            stack.run("stack", "import", "--file", export)
    return found


def recover_stack(held: HeldLock, project_folder: Path, paths: Paths = Paths()) -> Recovery:
    """Make the environment's stack ready for the next Pulumi run.

    Args:
        held: The environment's lock, held by this process for the whole run.
        project_folder: Folder of the Pulumi project, as ``infra/lab``.
        paths: The checkout.

    Raises:
        LockedError: When a Pulumi CLI that somebody started by hand is at work on the stack.
        KeyMissingError: When the passphrase is missing or is not the right one.
        IntegrityError: When the state is damaged beyond its own backup.
    """
    stack = Stack(project_folder, held.environment, paths)
    found = Recovery()
    if not stack.state_file.exists() and not stack.lock_files():
        return found
    found.stale_locks = _clear_locks(stack)
    found.restored_from_backup = _restore_damaged(stack.state_file)
    if stack.state_file.exists():
        _check_passphrase(stack)
        found.pending = _drop_pending(stack)
    return found
