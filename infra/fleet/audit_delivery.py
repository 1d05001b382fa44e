# SPDX-License-Identifier: Apache-2.0
"""Delivery of audit lines: from this machine's journal to every control host, by syslog to the log store.

Each control host has a cursor (bytes delivered) beside the journal, so lines written while it could not be
reached are sent later, in order. A line may arrive twice after a loss of connection; `id` and `event` tell.
"""

from __future__ import annotations

import fcntl
import os
import platform
import subprocess
from typing import TYPE_CHECKING

import psutil

from infra.fleet.remote import SshRunner
from infra.inventory.fleet import on_control_host

if TYPE_CHECKING:
    from pathlib import Path

    from infra.fleet.remote import Runner
    from infra.inventory import Fleet

TAG = "perennial-audit"
CHUNK_BYTES = 256 * 1024
LOGGER = ["logger", "--tag", TAG, "--size", "16384"]
# The log store gets the lines through the control host's syslog, its journal file where the role made the
# folder.
RECEIVE = """set -o pipefail
journal=/var/lib/perennial/journal
if [ -d "$journal" ]; then tee -a "$journal/journal.jsonl"; else cat; fi |
    logger --tag perennial-audit --size 16384
"""


def deliver(journal: Path, environment: str, fleet: Fleet | None, runner: Runner | None = None) -> list[str]:
    """Send what is not delivered yet to each control host; return a line for each that could not be told."""
    if fleet is None:
        return []
    runner = runner or SshRunner(fleet, dry_run=False)
    problems = []
    for host in fleet.platform.with_role("control", enabled_only=True):
        here = _is_here(host.name, {host.address, fleet.document.hosts[host.name].address})
        problem = _deliver_to(journal, host.name, None if here else runner)
        if problem:
            problems.append(
                f"audit lines of {environment} not on {host.name} yet ({problem}); kept in {journal}"
            )
    return problems


def _is_here(host: str, addresses: set[str]) -> bool:
    """Tell whether this machine is control host `host`: by its name, or by an address that is its own.

    What it sent to itself would come back into the journal that it reads from.
    """
    if not on_control_host():
        return False
    own = {address.address for link in psutil.net_if_addrs().values() for address in link}
    return platform.node().split(".")[0] == host or bool(own & addresses)


def _deliver_to(journal: Path, host: str, runner: Runner | None) -> str:
    """Send to one host, or to this machine's syslog without a runner; return the problem, '' for none.

    Ends where the journal ended when it began: lines that come meanwhile belong to the next delivery.
    """
    cursor = journal.with_name(f"journal.cursor.{host}")
    with os.fdopen(os.open(cursor, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done, end = int(file.read() or 0), journal.stat().st_size
        while part := _whole_lines(journal, done, end):
            problem = _send(part, host, runner)
            if problem:
                return problem
            done += len(part)
            file.seek(0)
            file.truncate()
            file.write(str(done).encode())
            file.flush()
    return ""


def _whole_lines(journal: Path, start: int, end: int) -> bytes:
    """Return whole lines between the bytes `start` and `end`, at most about CHUNK_BYTES of them."""
    with journal.open("rb") as file:
        file.seek(start)
        part = file.read(max(0, min(CHUNK_BYTES, end - start)))
    return part[: part.rfind(b"\n") + 1]


def _send(part: bytes, host: str, runner: Runner | None) -> str:
    if runner is None:
        done = subprocess.run(LOGGER, input=part, capture_output=True, timeout=30, check=False)
        return "" if done.returncode == 0 else done.stderr.decode(errors="replace").strip()
    result = runner.run(host, ["bash", "-c", RECEIVE], stdin=part.decode(), timeout=30)
    return "" if result.ok else result.last_line()
