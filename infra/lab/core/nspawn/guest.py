# SPDX-License-Identifier: Apache-2.0
"""A booted guest: its init, and what its init says."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

from infra.lab.core.errors import DeadlineError, LabError
from infra.lab.core.nspawn.cgroup import HostGroup
from infra.lab.core.process import Budget, run

_STATES = ("running", "degraded")


def leader(group: HostGroup) -> int | None:
    """The machine-side process id of the guest's init, or None when no guest runs.

    The kernel knows: it is the process that has id 1 in a process namespace below ours.
    """
    for pid in group.processes():
        with suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            ids = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
            if len(ids) == 2 and ids[1] == "1" and "State:\tZ" not in status:
                return pid
    return None


def supervised(group: HostGroup) -> bool:
    """Whether the host's systemd-nspawn still runs, which a reboot from inside needs."""
    names = set()
    for pid in group.processes():
        with suppress(OSError):
            names.add(Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip())
    return "systemd-nspawn" in names


def attached(pid: int, bridge: str) -> bool:
    """Whether the network link of the guest whose init is ``pid`` ends on this bridge."""
    try:
        peer = Path(f"/proc/{pid}/root/sys/class/net/host0/iflink").read_text(encoding="ascii")
        ports = [
            port.read_text(encoding="ascii")
            for port in Path(f"/sys/class/net/{bridge}").glob("lower_*/ifindex")
        ]
    except OSError:
        return False
    return peer in ports


def inside(pid: int, *argv: str) -> list[str]:
    """The command line that runs a program in the guest whose init is ``pid``."""
    return ["nsenter", f"--target={pid}", "--all", "--", *argv]


def await_boot(group: HostGroup, address: str, budget: Budget) -> tuple[str, ...]:
    """Wait until the guest's init has started everything and ssh answers.

    Returns:
        The names of units that failed; none on a sound host.

    Raises:
        LabError: the guest ended, or did not come up in time.
    """
    state = _await_init(group, budget)
    while not _banner(address):
        budget.pause(0.05, f"waiting for ssh on {address}")
    if state == "running":
        return ()
    pid = leader(group)
    listing = ["systemctl", "list-units", "--failed", "--plain", "--no-legend"]
    return tuple(line.split()[0] for line in run(inside(pid, *listing), budget).splitlines()) if pid else ()


def _await_init(group: HostGroup, budget: Budget) -> str:
    last = "no init yet"
    while True:
        if not group.processes():
            raise LabError("its systemd-nspawn ended during the boot")
        pid = leader(group)
        if pid is not None:
            last = _state(pid, budget) or last
        if last in _STATES:
            return last
        try:
            budget.pause(0.05, "waiting for the boot")
        except DeadlineError as error:
            raise LabError(f"its init says '{last}' and did not come further in time") from error


def _state(pid: int, budget: Budget) -> str:
    with suppress(LabError):
        # All states but "running" come with a non-zero exit, which is no failure of this question.
        shell = "systemctl is-system-running 2>&1; exit 0"
        return run(inside(pid, "sh", "-c", shell), budget).strip()
    return ""


def _banner(address: str) -> bool:
    with suppress(OSError), socket.create_connection((address, 22), timeout=1) as connection:
        return connection.recv(4) == b"SSH-"
    return False


def power_off(group: HostGroup, seconds: float, budget: Budget) -> None:
    """Ask the guest's init to stop all services, and wait at most this long; what remains the caller ends."""
    pid = leader(group)
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGRTMIN + 4)
    _await_end(group, seconds, budget)


def kill(group: HostGroup, budget: Budget) -> None:
    """End the guest at once: its init first, so that systemd-nspawn cleans up after itself, then the rest."""
    pid = leader(group)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _await_end(group, 2.0, budget)
    group.kill(budget)


def _await_end(group: HostGroup, seconds: float, budget: Budget) -> None:
    for _ in range(int(seconds / 0.02)):
        if not group.processes():
            return
        budget.pause(0.02, "waiting for the guest's end")
