# SPDX-License-Identifier: Apache-2.0
"""The cached page through the virtual address, beside nginx with the same bytes as a static file."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from loadtests.bench import nginx
from loadtests.bench.figures import BenchError, Measurement
from loadtests.bench.load import CONNECTIONS, LoadResult, alternate
from loadtests.bench.load import run as load
from loadtests.bench.pages import look, look_until
from loadtests.bench.statistics import pair_ratios, ratio_of_medians

if TYPE_CHECKING:
    from loadtests.bench.load import Endpoint
    from loadtests.bench.run import Run


def measure(run: Run) -> list[Measurement]:
    """Load both in turn, each limited to the CPUs of an edge."""
    page = run.at_vip(run.post.path)
    seen = look_until(page, run.trust, "hit")
    cpus = run.fleet.platform.with_role("edge", enabled_only=True)[0].size.cpus
    run.reference.limit(cpus)
    static, trust = nginx.serve(run.reference, seen.body, seen.cipher, cpus)
    if not nginx.same_bytes(static, trust, seen.body):
        raise BenchError("the reference nginx does not serve the same bytes")
    if (other := look(static, trust).cipher) != seen.cipher:
        raise BenchError(f"the sides speak different ciphers: {seen.cipher} and {other}")
    run.say(f"cached page: {run.counts.rounds} × 2 loads of {run.counts.seconds} s")
    ours, theirs = alternate(
        partial(_hits, run, page), partial(load, static, run.counts.seconds), run.counts.rounds
    )
    how = f"{len(seen.body)} bytes, {seen.protocol} keep-alive, {seen.tls} {seen.cipher}, identity encoding, "
    how += (
        f"{CONNECTIONS} connections; {cpus:g} CPU each side (edge, nginx); load generator on the same machine"
    )
    return [compared("cached-page", ours, theirs, (how,))]


def _hits(run: Run, page: Endpoint) -> LoadResult:
    """Load the page between two looks that must both be hits: else the run was not over a cached page."""
    look_until(page, run.trust, "hit")
    result = load(page, run.counts.seconds)
    after = look(page, run.trust)
    if after.cache != "hit":
        raise BenchError(f"the page fell out of the cache during the load (X-Cache: {after.cache})")
    return result


def compared(
    figure: str, ours: list[LoadResult], theirs: list[LoadResult], notes: tuple[str, ...]
) -> Measurement:
    """Return the ratio of medians of two sides' rates, with the spread of the single pairs."""
    measured, reference = [item.rate for item in ours], [item.rate for item in theirs]
    low, high = pair_ratios(measured, reference)
    spread = f"ratio of medians of {len(ours)} alternating pairs; single pairs {low:.2f} to {high:.2f}"
    slow, slow_reference = (median(item.p99_ms for item in side) for side in (ours, theirs))
    p99 = f"p99 {slow:.1f} ms, reference {slow_reference:.1f} ms"
    return Measurement(
        figure,
        ratio_of_medians(measured, reference),
        f"{median(measured):.0f} req/s",
        f"{median(reference):.0f} req/s",
        (spread, p99, *notes),
        data={
            "measured_per_second": [round(item, 1) for item in measured],
            "reference_per_second": [round(item, 1) for item in reference],
        },
    )
