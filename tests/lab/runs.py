# SPDX-License-Identifier: Apache-2.0
"""Runs of make that a test watches, interrupts or kills, and what they may not leave behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from infra.fleet.journal import Journal, journal_directory
from infra.fleet.lock import FLEET, FleetLock, lock_host
from infra.fleet.remote import SshRunner
from infra.make.provision import project
from infra.spec import CHECKOUT
from infra.toolchain.stack import Stack
from tests.lab.acts import Visitor

if TYPE_CHECKING:
    from infra.inventory import Fleet
    from infra.spec import Platform
    from loadtests.probe import Target

STATE = CHECKOUT / ".state"
END_SECONDS = 120


def start(target: str, environment: str, output: Path, **variables: str) -> subprocess.Popen[str]:
    """Start a make target as the leader of a process group, as a terminal does; its output goes to a file."""
    command = [sys.executable, "-m", "infra.make", target, "--env", environment]
    command += ["--yes"] if target in {"up", "down"} else []
    with output.open("w", encoding="utf-8") as file:
        return subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return a run and its children, without what is meant to outlive it: hosts and the package cache."""
    try:
        found = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    return [member for member in found if not _outlives(member)]


def _outlives(process: psutil.Process) -> bool:
    try:
        groups = Path(f"/proc/{process.pid}/cgroup").read_text("ascii")
        return "/perennial/" in groups or "ssh" in process.name() or "apt-cacher" in process.name()
    except (OSError, psutil.Error):
        return True


def interrupt(process: subprocess.Popen[str]) -> None:
    """Do what Ctrl-C in a terminal does: SIGINT to the whole group."""
    os.killpg(process.pid, signal.SIGINT)


def kill(process: subprocess.Popen[str]) -> None:
    """End a run and all its children at once, so that none can tidy up after another."""
    members = family(process)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for member in members:
            try:
                member.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        members = [*members, *[late for late in family(process) if late not in members]]


def alive(members: list[psutil.Process], seconds: float = 10) -> list[str]:
    """Return those that have not ended within `seconds`."""
    _, left = psutil.wait_procs(members, timeout=seconds)
    return [f"{member.pid} {member.name()}" for member in left if member.status() != psutil.STATUS_ZOMBIE]


def usual_seconds(environment: str, most: float) -> float:
    """Return how long the last `make up` that did its work took, from the journal; at most `most`."""
    lines = Journal(environment, journal_directory(environment)).lines()
    done = [
        line["seconds"] for line in lines
        if line["event"] == "END" and line["outcome"] == "done" and line["command"] == "make up"
    ]  # fmt: skip
    return float(min([most, *done[-1:]]))


def left_over(fleet: Fleet) -> dict[str, Any]:
    """Return locks and half-done operations that nobody needs any more; empty after a run that ended well."""
    platform = fleet.platform
    stack = Stack(project(platform), platform.name)
    state = json.loads(stack.state_file.read_text("utf-8"))["checkpoint"]["latest"]
    runner = SshRunner(fleet, dry_run=False)
    found = {
        "locks of Pulumi": [str(path) for path in stack.lock_files()],
        "operations under way": [entry["resource"]["urn"] for entry in state.get("pending_operations") or []],
        "lock of this machine": _held_here(platform),
        "lock on the fleet": FleetLock(runner, lock_host(platform), FLEET, "a look").holder(),
        "acts without an end": Journal(platform.name, journal_directory(platform.name)).unfinished(),
    }
    return {kind: what for kind, what in found.items() if what}


def _held_here(platform: Platform) -> str:
    with (STATE / f"{platform.name}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "held"
    return ""


def answers(site: Target, seconds: float = 10) -> bool:
    """Tell whether the site answers through the virtual address within `seconds`."""
    visitor, end = Visitor(site, site.address), time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if visitor.get("/").status_code == httpx.codes.OK:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    return False
