# SPDX-License-Identifier: Apache-2.0
"""The whole lab at rest: memory and CPU of all its hosts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loadtests.bench.figures import Measurement
from loadtests.bench.usage import cpu_seconds, memory

if TYPE_CHECKING:
    from loadtests.bench.run import Run

MIB_PER_GIB = 1024


def measure(run: Run) -> list[Measurement]:
    """Watch the hosts for a quiet time; the reference host is not one of them."""
    hosts = tuple(run.fleet.platform.hosts)
    run.say(f"watching the lab at rest for {run.counts.quiet} s")
    begin, used = time.monotonic(), cpu_seconds(run.lab, hosts)
    time.sleep(run.counts.quiet)
    cores = (cpu_seconds(run.lab, hosts) - used) / (time.monotonic() - begin)
    held = {host: memory(run.lab, host) for host in hosts}
    gib = sum(item.held_mib for item in held.values()) / MIB_PER_GIB
    shared = sum(item.shared_mib for item in held.values()) / MIB_PER_GIB
    by_host = {host: round(item.held_mib, 1) for host, item in held.items()}
    kind = (
        f"anonymous + shared memory (of it shared {shared:.2f} GiB) of {len(hosts)} hosts' control groups, "
    )
    kind += "systemd-nspawn included; not counted: page cache, kernel memory, package cache"
    return [
        Measurement("rest-memory", gib, f"{gib:.2f} GiB", notes=(kind,), data={"mib_by_host": by_host}),
        Measurement(
            "rest-cpu",
            cores,
            f"{cores:.3f} cores",
            notes=(f"user and kernel time of {len(hosts)} hosts' control groups over {run.counts.quiet} s",),
        ),
    ]
