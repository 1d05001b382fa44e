# SPDX-License-Identifier: Apache-2.0
"""Keeps `.state`: Pulumi's file backend and the passphrase of its secrets. Standard library only."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

from infra.toolchain.errors import KeyMissingError
from infra.toolchain.paths import Paths

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def stacks(paths: Paths) -> list[str]:
    """Name the stacks that the backend holds, as ``project/stack``."""
    folder = paths.backend / ".pulumi" / "stacks"
    return sorted(f"{item.parent.name}/{item.stem}" for item in folder.glob("*/*.json"))


def _write_passphrase(paths: Paths) -> None:
    part = paths.passphrase.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
        file.flush()
        os.fsync(descriptor)
    part.rename(paths.passphrase)


def ensure(paths: Paths, say: Callable[[str], None]) -> None:
    """Make the backend's folder and, once, the passphrase.

    Raises:
        KeyMissingError: When stacks exist and the passphrase is gone: another could not read their secrets.
    """
    paths.backend.mkdir(parents=True, exist_ok=True)
    paths.state.chmod(PRIVATE_FOLDER)
    if paths.passphrase.exists():
        if paths.passphrase.stat().st_mode & 0o077:
            say(f"{paths.passphrase} could be read by others; its mode is now 0600")
            paths.passphrase.chmod(PRIVATE_FILE)
        return
    known = stacks(paths)
    if known:
        raise KeyMissingError(
            f"{paths.passphrase} is missing, and the secrets of {', '.join(known)} are encrypted with it.\n"
            f"Restore that file from where you keep it. If it is lost, so are those secrets: "
            f"take the labs down (make down), remove {paths.backend} and run: make setup"
        )
    _write_passphrase(paths)
    say(f"made {paths.passphrase}: it encrypts the secrets in Pulumi's state; keep a copy elsewhere")
