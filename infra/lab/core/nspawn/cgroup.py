# SPDX-License-Identifier: Apache-2.0
"""A cgroup of its own for each host, on unified (v2) and on split (v1, hybrid) machines.

Without it all guests would share the caller's cgroup: same-named units of two guests would mix and a stop
in one would reach into the other.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from infra.lab.core.errors import LabError
from infra.lab.core.process import Budget

ROOT = Path("/sys/fs/cgroup")
_GROUP = "perennial"
# The supervisor sits apart from the guest: a unified group with children must not hold processes itself.
_LEAVES = ("keeper", "guest")
_CPU_PERIOD_US = 100_000
_CONTROLLERS = "+memory +cpu +pids"


def unified(root: Path = ROOT) -> bool:
    """Whether the machine has the unified hierarchy alone."""
    return (root / "cgroup.controllers").exists()


def hierarchies(root: Path = ROOT) -> list[Path]:
    """The mounted hierarchies: one on a unified machine, one for each controller on others."""
    if unified(root):
        return [root]
    found = sorted(
        path
        for path in root.iterdir()
        if path.is_dir() and not path.is_symlink() and (path / "cgroup.procs").exists()
    )
    if not found:
        raise LabError(f"{root}: no cgroup hierarchy is mounted here; the lab needs cgroups")
    return found


class HostGroup:
    """The cgroups of one host, in each hierarchy."""

    def __init__(self, lab: str, host: str, root: Path = ROOT) -> None:
        self._root = root
        self._relative = Path(_GROUP) / lab / host

    def create(self, memory_mib: int, cpus: float) -> None:
        """Make the groups and set the limits; existing groups only get the limits."""
        for hierarchy in hierarchies(self._root):
            for leaf in _LEAVES:
                _make(hierarchy, self._relative / leaf, unified(self._root))
        self.limit(memory_mib, cpus)

    def limit(self, memory_mib: int, cpus: float) -> None:
        """Set the host's limits: memory in MiB, CPUs as a share of time (1.5 is one and a half CPUs)."""
        quota = int(cpus * _CPU_PERIOD_US)
        size = str(memory_mib * 1024 * 1024)
        if unified(self._root):
            group = self._root / self._relative
            (group / "memory.max").write_text(size, encoding="ascii")
            (group / "cpu.max").write_text(f"{quota} {_CPU_PERIOD_US}", encoding="ascii")
            return
        (self._root / "memory" / self._relative / "memory.limit_in_bytes").write_text(size, encoding="ascii")
        (self._root / "cpu" / self._relative / "cpu.cfs_quota_us").write_text(str(quota), encoding="ascii")

    def members(self, leaf: str) -> list[Path]:
        """The files to write a process id to, so that it joins ``leaf`` in every hierarchy."""
        return [hierarchy / self._relative / leaf / "cgroup.procs" for hierarchy in hierarchies(self._root)]

    def processes(self) -> set[int]:
        """Ids of all processes of the host, the guest's included."""
        found: set[int] = set()
        for hierarchy in hierarchies(self._root):
            for directory, _, _ in os.walk(hierarchy / self._relative):
                with suppress(OSError):  # the guest removes groups while we walk
                    found |= {int(line) for line in (Path(directory) / "cgroup.procs").read_text().split()}
        return found - {0}

    def kill(self, budget: Budget) -> None:
        """End every process of the host at once."""
        self._thaw()
        while pids := self.processes():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
            budget.check(f"ending the processes of {self._relative}")

    def _thaw(self) -> None:
        # A frozen process of a split hierarchy does not even die of SIGKILL.
        for state in (self._root / "freezer" / self._relative).rglob("freezer.state"):
            state.write_text("THAWED", encoding="ascii")

    def remove(self, budget: Budget) -> None:
        """Remove the groups, and those of the lab and of all labs when they were the last."""
        for hierarchy in hierarchies(self._root):
            while not _removed(hierarchy / self._relative):
                budget.pause(0.02, f"removing cgroup {hierarchy / self._relative}")
            for parent in (self._relative.parent, self._relative.parent.parent):
                with suppress(OSError):
                    (hierarchy / parent).rmdir()


def host_groups(lab: str, root: Path = ROOT) -> set[str]:
    """Names of the hosts that have cgroups in this lab."""
    homes = [hierarchy / _GROUP / lab for hierarchy in hierarchies(root)]
    return {path.name for home in homes if home.is_dir() for path in home.iterdir() if path.is_dir()}


def _make(hierarchy: Path, relative: Path, is_unified: bool) -> None:
    path = hierarchy
    for part in relative.parts:
        if is_unified and path.name not in _LEAVES:
            (path / "cgroup.subtree_control").write_text(_CONTROLLERS, encoding="ascii")
        parent, path = path, path / part
        path.mkdir(exist_ok=True)
        if (path / "cpuset.cpus").exists() and not is_unified:
            # A split cpuset starts empty and then takes no process.
            for name in ("cpuset.cpus", "cpuset.mems"):
                (path / name).write_text((parent / name).read_text(encoding="ascii"), encoding="ascii")


def _removed(path: Path) -> bool:
    for directory, _, _ in os.walk(path, topdown=False):
        with suppress(OSError):
            Path(directory).rmdir()
    return not path.exists()
