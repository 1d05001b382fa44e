# SPDX-License-Identifier: Apache-2.0
"""Resident memory of PHP-FPM's workers, as the kernel accounts it for each process."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WORKER = b"php-fpm: pool "
KIB_PER_MIB = 1024


@dataclass(frozen=True)
class Worker:
    """One worker: all that is resident in MiB, and that part without shared memory (OPcache)."""

    resident_mib: float
    own_mib: float


def resident(pids: Iterable[int], proc: Path = Path("/proc")) -> list[Worker]:
    """Return the PHP-FPM workers among the processes `pids` of this machine."""
    found = []
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):  # a worker may end while we look
            if (proc / str(pid) / "cmdline").read_bytes().startswith(WORKER):
                found.append(_worker((proc / str(pid) / "status").read_text(encoding="utf-8")))
    return found


def _worker(status: str) -> Worker:
    kib = {}
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name.startswith(("VmRSS", "Rss")):
            kib[name] = int(value.split()[0])
    total, shared = kib["VmRSS"], kib["RssShmem"]
    return Worker(total / KIB_PER_MIB, (total - shared) / KIB_PER_MIB)
