# SPDX-License-Identifier: Apache-2.0
"""One changing run per environment and checkout: a file lock held for the time of the run.

The kernel frees it when the holder ends, however it ends; so it is never stale.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infra.toolchain.errors import LockedError
from infra.toolchain.paths import Paths


@dataclass(frozen=True)
class HeldLock:
    """Shows that this process holds an environment; only `environment_lock` makes one."""

    environment: str
    file: Path


@contextmanager
def environment_lock(environment: str, purpose: str, paths: Paths = Paths()) -> Iterator[HeldLock]:
    """Hold an environment while the body runs.

    Args:
        environment: Name of the environment.
        purpose: What the run does, for the message that a second run gets, as ``make up``.
        paths: The checkout.

    Raises:
        LockedError: When another run holds it; names its process, purpose and start.
    """
    paths.state.mkdir(mode=0o700, exist_ok=True)
    file = paths.state / f"{environment}.lock"
    with file.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            raise LockedError(
                f"environment {environment} is in use by {holder}; wait until it ends, then run again"
            ) from error
        handle.truncate(0)
        handle.write(f"{purpose} (process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC)\n")
        handle.flush()
        yield HeldLock(environment, file)
        handle.truncate(0)
