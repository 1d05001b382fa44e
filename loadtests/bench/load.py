# SPDX-License-Identifier: Apache-2.0
"""Closed-loop load by wrk: HTTP/1.1 keep-alive over TLS, 16 connections, the same client for every side."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.bench.figures import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTIONS, THREADS = 16, 2
REPORT = Path(__file__).with_name("report.lua")
# wrk takes address and SNI from the same word, so the name is bound in a mount namespace of wrk's own.
NAMED = 'mount --bind "$1" /etc/hosts; shift; exec "$@"'


@dataclass(frozen=True)
class Endpoint:
    """A page of `domain` at `address`, port 443."""

    address: str
    domain: str
    path: str

    @property
    def url(self) -> str:
        """Return the page's URL under its own name."""
        return f"https://{self.domain}{self.path}"


@dataclass(frozen=True)
class LoadResult:
    """What wrk counted in one run; `broken` counts connections, `failed` answers that were not 2xx or 3xx."""

    requests: int
    seconds: float
    bytes: int
    failed: int
    broken: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Return answers per second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0


def parse(text: str) -> LoadResult:
    """Return the result from wrk's output; raise BenchError where our summary line is missing."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchError(f"wrk printed no summary: {text.strip()[-200:] or 'nothing'}")
    counted = json.loads(lines[-1])
    return LoadResult(
        requests=counted["requests"],
        seconds=counted["microseconds"] / 1e6,
        bytes=counted["bytes"],
        failed=counted["failed"],
        broken=counted["broken"],
        p50_ms=counted["p50_us"] / 1e3,
        p99_ms=counted["p99_us"] / 1e3,
    )


def command(endpoint: Endpoint, seconds: int, hosts: Path) -> list[str]:
    """Return the command line of one run of `seconds` s, with `hosts` in the place of /etc/hosts."""
    wrk = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(REPORT)]
    wrk += ["-H", "Accept-Encoding: identity", endpoint.url]
    private = ["unshare", "--mount", "--propagation", "private"]
    return [*private, "sh", "-euc", NAMED, "bench", str(hosts), *wrk]


def run(endpoint: Endpoint, seconds: int) -> LoadResult:
    """Load `endpoint` for `seconds` s; raise BenchError where wrk fails or any answer is not a good one."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="bench-hosts-") as hosts:
        hosts.write(f"127.0.0.1 localhost\n{endpoint.address} {endpoint.domain}\n")
        hosts.flush()
        argv = command(endpoint, seconds, Path(hosts.name))
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60, check=False)
        except FileNotFoundError as error:
            raise BenchError(f"{error.filename} is not installed; next: make setup") from error
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"wrk on {endpoint.url} did not end") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-300:]
        raise BenchError(f"wrk on {endpoint.url} ended with {done.returncode}: {said}")
    result = parse(done.stdout)
    if result.failed or result.broken or not result.requests:
        counts = f"{result.requests} answers, {result.failed} bad ones, {result.broken} connection errors"
        raise BenchError(f"load on {endpoint.url} at {endpoint.address} is not valid: {counts}")
    return result


def alternate(
    measured: Callable[[], LoadResult], reference: Callable[[], LoadResult], rounds: int
) -> tuple[list[LoadResult], list[LoadResult]]:
    """Run both sides in turn, `rounds` times each, so that a slow drift of the machine meets both alike."""
    pairs = [(measured(), reference()) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
