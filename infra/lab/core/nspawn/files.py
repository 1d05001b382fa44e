# SPDX-License-Identifier: Apache-2.0
"""Locks and small files that a crash cannot leave half written."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.lab.core.process import Budget

_POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path, budget: Budget) -> Iterator[None]:
    """Hold an exclusive lock between processes and threads; the file is gone afterwards.

    The kernel frees the lock when its holder dies, however it dies.

    Raises:
        LabError: the budget ended before the lock was free.
    """
    descriptor = _acquire(path, budget)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, budget: Budget) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the directory was removed between the two lines by the lab's end
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            budget.pause(_POLL_SECONDS, f"waiting for {path.name}, which another command works on")
            continue
        if _still_named(path, descriptor):
            return descriptor
        os.close(descriptor)


def _still_named(path: Path, descriptor: int) -> bool:
    # The former holder removed the name before it let go; a lock on a nameless file excludes nobody.
    with suppress(FileNotFoundError):
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    return False


def write_atomic(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file as one step: readers see the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def remove_if_empty(*paths: Path) -> None:
    """Remove directories that hold nothing; others stay."""
    for path in paths:
        with suppress(OSError):
            path.rmdir()
