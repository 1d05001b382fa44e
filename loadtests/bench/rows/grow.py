# SPDX-License-Identifier: Apache-2.0
"""One more application host: a line in a copy of the inventory and `make up` there, until it serves."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from infra.fleet.exits import PerennialError
from infra.fleet.pool import Pool
from infra.fleet.remote import SshRunner
from infra.spec import CHECKOUT
from loadtests.bench.copy_of_checkout import add_host, copied_checkout
from loadtests.bench.figures import BenchError, Measurement
from loadtests.bench.rows.commands import timed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.spec import Platform
    from loadtests.bench.run import Run

MOST_SECONDS = 900.0
POLL_SECONDS = 0.5


def next_host(platform: Platform) -> tuple[str, str, str]:
    """Return name and address of one more application host, and the host it is like."""
    last = platform.with_role("app")[-1]
    stem = last.name.rstrip("0123456789")
    number = int(last.name[len(stem) :] or 0) + 1
    taken = {str(host.address) for host in platform.hosts.values()}
    network = ipaddress.ip_network(str(platform.environment.network.subnet))
    free = (ipaddress.ip_address(str(last.address)) + step for step in range(1, 100))
    address = next(str(item) for item in free if str(item) not in taken and item in network)
    return f"{stem}{number}", address, last.name


def measure(run: Run) -> list[Measurement]:
    """Add the host, wait until it serves on every edge and `make up` has ended, then take it away again."""
    name, address, like = next_host(run.fleet.platform)
    with copied_checkout() as copy, _taken_away(run):
        add_host(copy / "inventories" / f"{run.lab}.yml", name, like, address)
        run.say(f"make up with one more application host, {name}")
        serving, whole = _up_until_serving(run, copy, name)
    note = f"from the start of make up until {' and '.join(run.edges)} send {name} requests; "
    note += f"make up as a whole {whole:.1f} s"
    return [Measurement("one-more-app", serving, f"{serving:.1f} s", notes=(note,))]


@contextmanager
def _taken_away(run: Run) -> Iterator[None]:
    """Put the platform back to its own description after the block, whatever happened in it."""
    try:
        yield
    finally:
        run.say("make up with the platform's own description again")
        timed(["make", "up", f"ENV={run.lab}", "YES=1"], CHECKOUT)


def _up_until_serving(run: Run, copy: Path, name: str) -> tuple[float, float]:
    """Return the seconds until `name` serves on every edge, and those of the whole `make up` in `copy`."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "infra.make", "up", "--env", run.lab, "--yes"]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            serving = _watch(run, name, begin, process)
            code = process.wait(MOST_SECONDS)
        except BaseException:
            process.terminate()
            process.wait(120)
            raise
        whole = time.monotonic() - begin
        output.seek(0)
        said = " ".join(output.read().split())[-400:]
    if code != 0:
        raise BenchError(f"make up with {name} ended with {code}: {said}")
    return serving, whole


def _serving_edges(pool: Pool, name: str) -> set[str]:
    with suppress(PerennialError):  # an edge that reloads just now is asked again
        return {member.edge for member in pool.status() if member.host == name and member.serving}
    return set()


def _watch(run: Run, name: str, begin: float, process: subprocess.Popen[bytes]) -> float:
    pool = Pool(run.fleet.platform, SshRunner(run.fleet, dry_run=True))
    while time.monotonic() - begin < MOST_SECONDS:
        ended = process.poll() is not None
        edges = _serving_edges(pool, name)
        if edges >= set(run.edges):
            return time.monotonic() - begin
        if ended:
            raise BenchError(
                f"make up has ended, but {name} serves on {', '.join(sorted(edges)) or 'no edge'} only"
            )
        time.sleep(POLL_SECONDS)
    raise BenchError(f"{name} does not serve within {MOST_SECONDS:g} s")
