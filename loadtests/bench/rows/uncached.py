# SPDX-License-Identifier: Apache-2.0
"""The page that WordPress makes anew each time, beside Debian's stock WordPress with the same post."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from infra.lab.core.nspawn.cgroup import HostGroup
from infra.spec.sizing import PHP_WORKER_MIB
from loadtests.bench import stock
from loadtests.bench.figures import BenchError, Measurement
from loadtests.bench.load import CONNECTIONS, LoadResult
from loadtests.bench.load import run as load
from loadtests.bench.pages import look_until
from loadtests.bench.reference_host import NAME
from loadtests.bench.rows.cached import compared
from loadtests.bench.usage import cpu_seconds
from loadtests.bench.workers import resident

if TYPE_CHECKING:
    from loadtests.bench.load import Endpoint
    from loadtests.bench.run import Run

QUERY = "?bench=1"  # a parameter that the page cache does not know: it passes
WARM_SECONDS = 2
# wrk does not count the answers still under way at a run's end: up to one a connection, which is much of a
# short run on the slower side and would flatter the ratio. Runs this many times longer make it small.
LONGER = 3
ROLES = ("edge", "app", "database")


def _passing(run: Run) -> Endpoint:
    page = run.at_edge(run.post.path + QUERY)
    look_until(page, run.trust, "pass")
    return page


def _serving(run: Run) -> tuple[str, ...]:
    hosts = run.fleet.platform.hosts.values()
    return tuple(host.name for host in hosts if set(ROLES) & set(host.roles) and not host.disabled)


def _side(run: Run, page: Endpoint, hosts: tuple[str, ...]) -> tuple[LoadResult, dict[str, float]]:
    """Load a page; return the result and the CPU seconds that each of `hosts` used meanwhile."""
    before = {host: cpu_seconds(run.lab, [host]) for host in hosts}
    result = load(page, LONGER * run.counts.seconds)
    return result, {host: cpu_seconds(run.lab, [host]) - before[host] for host in hosts}


def measure(run: Run) -> list[Measurement]:
    """Load both in turn through TLS; the stock host may use every CPU of the machine."""
    page, cores = _passing(run), os.cpu_count() or 1
    run.reference.limit(cores)
    run.say("installing and warming stock WordPress")
    other = stock.serve(run.reference, run.content)
    load(page, WARM_SECONDS)
    load(other.endpoint, WARM_SECONDS)
    run.say(f"uncached page: {run.counts.rounds} × 2 loads of {LONGER * run.counts.seconds} s")
    hosts = _serving(run)
    pairs = [(_side(run, page, hosts), _side(run, other.endpoint, (NAME,))) for _ in range(run.counts.rounds)]
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    size = len(look_until(page, run.trust, "pass").body)
    notes = (
        f"same post; pages of {size} and {other.page_bytes} bytes (themes differ)",
        f"{CONNECTIONS} connections, HTTP/1.1 keep-alive, TLS 1.3, identity encoding",
        f"CPU parity: the stock host may use all {cores} CPUs; {', '.join(hosts)} share the same {cores}",
        f"answers per CPU second: {_per_cpu(ours)}; stock {_per_cpu(theirs)}",
        f"stock: {other.versions}; OPcache with {other.cached_scripts} scripts",
    )
    return [compared("uncached-page", [item[0] for item in ours], [item[0] for item in theirs], notes)]


def _per_cpu(side: list[tuple[LoadResult, dict[str, float]]]) -> str:
    """Return a side's answers for each CPU second, and the CPU milliseconds an answer of each host."""
    answers = sum(result.requests for result, _ in side)
    used = {host: sum(seconds[host] for _, seconds in side) for host in side[0][1]}
    each = ", ".join(f"{host} {1000 * seconds / answers:.1f}" for host, seconds in used.items())
    return f"{answers / max(sum(used.values()), 1e-9):.1f} (ms an answer: {each})"


def measure_workers(run: Run) -> list[Measurement]:
    """Read what PHP-FPM's workers hold after a load of uncached pages; the largest one is judged."""
    load(_passing(run), run.counts.seconds)
    names = [host.name for host in run.fleet.platform.with_role("app", enabled_only=True)]
    found = [worker for name in names for worker in resident(HostGroup(run.lab, name).processes())]
    if not found:
        raise BenchError("no PHP-FPM worker runs on any application host")
    own = sorted(worker.own_mib for worker in found)
    note = (
        f"largest of {len(found)} workers: resident set without shared memory (OPcache has its own reserve); "
    )
    note += f"smallest {own[0]:.0f}, with shared memory {max(item.resident_mib for item in found):.0f} MiB; "
    note += f"infra/spec/sizing.py reckons with {PHP_WORKER_MIB}"
    return [Measurement("php-worker", own[-1], f"{own[-1]:.1f} MiB", notes=(note,), data={"own_mib": own})]
