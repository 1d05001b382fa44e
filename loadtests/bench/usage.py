# SPDX-License-Identifier: Apache-2.0
"""What the lab's hosts use of the machine: the kernel's counts by control group, not the guests' views."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.lab.core.nspawn.cgroup import ROOT, unified
from loadtests.bench.figures import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1024 * 1024
# Names of anonymous and of shared memory (tmpfs, OPcache, Varnish's log) in either kind of hierarchy.
SPLIT_KEYS, UNIFIED_KEYS = ("total_rss", "total_shmem"), ("anon", "shmem")


@dataclass(frozen=True)
class Memory:
    """Memory of a group in MiB: its processes' own, and shared; the page cache of files is neither."""

    anonymous_mib: float
    shared_mib: float

    @property
    def held_mib(self) -> float:
        """Return what the machine cannot take back."""
        return self.anonymous_mib + self.shared_mib


def _group(controller: str, lab: str, host: str, root: Path) -> Path:
    relative = Path("perennial") / lab / host
    group = root / relative if unified(root) else root / controller / relative
    if not group.is_dir():
        raise BenchError(f"{host} of {lab} has no control group {group}; next: make up ENV={lab}")
    return group


def cpu_seconds(lab: str, hosts: Iterable[str], root: Path = ROOT) -> float:
    """Return the CPU time in seconds that `hosts` used since they were made, user and kernel together."""
    total = 0.0
    for host in hosts:
        if unified(root):
            text = (_group("", lab, host, root) / "cpu.stat").read_text(encoding="ascii")
            total += _fields(text)["usage_usec"] / 1e6
        else:
            text = (_group("cpuacct", lab, host, root) / "cpuacct.usage").read_text(encoding="ascii")
            total += int(text) / 1e9
    return total


def memory(lab: str, host: str, root: Path = ROOT) -> Memory:
    """Return the memory that `host` holds, all its processes and systemd-nspawn itself included."""
    fields = _fields((_group("memory", lab, host, root) / "memory.stat").read_text(encoding="ascii"))
    anonymous, shared = UNIFIED_KEYS if unified(root) else SPLIT_KEYS
    return Memory(fields[anonymous] / MIB, fields[shared] / MIB)


def _fields(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in text.splitlines())}
