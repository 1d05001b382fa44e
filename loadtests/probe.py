# SPDX-License-Identifier: Apache-2.0
"""One open-loop probe with a ledger, for every test that speaks of lost, failed or doubled requests.

Open loop: requests leave on a fixed timetable whether or not earlier ones were answered, so a stall
of the server shows as missing answers and is not hidden by a client that waits.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import httpx

from infra.fleet.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

__all__ = ["Attempt", "Ledger", "Probe", "Target", "get"]

MOST_SECONDS = 2400.0


@dataclass(frozen=True)
class Attempt:
    """One request: number, token, seconds since the probe's start, and the status (0: no answer)."""

    number: int
    token: str
    due: float
    done: float
    status: int
    error: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether the request was acknowledged with a status below 400."""
        return 200 <= self.status < 400


@dataclass
class Ledger:
    """Every attempt of a probe, in the order of completion."""

    attempts: list[Attempt] = field(default_factory=list)

    @property
    def acknowledged(self) -> tuple[Attempt, ...]:
        """Return the attempts that the server said yes to."""
        return tuple(attempt for attempt in self.attempts if attempt.ok)

    @property
    def failed(self) -> tuple[Attempt, ...]:
        """Return the attempts without a good answer."""
        return tuple(attempt for attempt in self.attempts if not attempt.ok)

    def longest_silence(self) -> float:
        """Return the longest time in seconds between two good answers, the start counting as one."""
        times = [0.0, *sorted(attempt.done for attempt in self.acknowledged)]
        end = max((attempt.done for attempt in self.attempts), default=0.0)
        return max(
            (later - earlier for earlier, later in zip(times, [*times[1:], end], strict=True)), default=0.0
        )

    def latency_quantile(self, share: float) -> float:
        """Return the latency in seconds, from the due time, that `share` of good answers stayed within."""
        latencies = sorted(attempt.done - attempt.due for attempt in self.acknowledged)
        if not latencies:
            raise ValueError("no acknowledged attempts: there is no latency to speak of")
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))]

    def summary(self) -> dict[str, float | int | list[str]]:
        """Return counts, the longest silence and the first errors, for messages of tests."""
        return {
            "sent": len(self.attempts),
            "acknowledged": len(self.acknowledged),
            "failed": len(self.failed),
            "longest_silence_seconds": round(self.longest_silence(), 3),
            "errors": [f"#{a.number} at {a.due:.2f}s: {a.status} {a.error}" for a in self.failed[:5]],
        }

    def write(self, path: Path) -> None:
        """Write the ledger as JSON lines."""
        path.write_text("".join(json.dumps(asdict(a)) + "\n" for a in self.attempts), encoding="utf-8")


def get(target: Target) -> Callable[[str], httpx.Request]:
    """Return a request factory for plain reads; the token goes into a header, so the cache may answer."""

    def make(token: str) -> httpx.Request:
        """Return the request of one attempt."""
        headers = {"Host": target.domain, "X-Probe": token}
        extensions = {"sni_hostname": target.domain}
        url = f"https://{target.address}:{target.port}{target.path}"
        return httpx.Request("GET", url, headers=headers, extensions=extensions)

    return make


class Probe:
    """Send requests at a fixed rate, from a thread of its own, while the block runs.

    `rate` is in requests a second, `timeout` in seconds; each request opens a connection of its own unless
    `keep_alive` is set. The probe stops by itself after `most_seconds`.
    """

    def __init__(
        self,
        target: Target,
        *,
        rate: float = 50.0,
        timeout: float = 5.0,
        keep_alive: bool = False,
        most_seconds: float = 300.0,
        request: Callable[[str], httpx.Request] | None = None,
    ) -> None:
        """Prepare; nothing is sent before the block starts."""
        self.target, self.rate, self.timeout = target, rate, timeout
        self.most_seconds = min(most_seconds, MOST_SECONDS)
        self.keep_alive = keep_alive
        self.request = request or get(target)
        self.ledger = Ledger()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="probe", daemon=True)

    def __enter__(self) -> Probe:
        """Start sending."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop sending, wait for answers under way."""
        self._stop.set()
        self._thread.join(self.timeout + 30)

    async def _run(self) -> None:
        keep = 50 if self.keep_alive else 0
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=keep)
        start = time.monotonic()
        pending: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(
            verify=self.target.context(), limits=limits, timeout=self.timeout
        ) as client:
            number = 0
            while not self._stop.is_set() and time.monotonic() - start < self.most_seconds:
                due = number / self.rate
                await asyncio.sleep(max(0.0, start + due - time.monotonic()))
                task = asyncio.create_task(self._send(client, start, number, due))
                pending.add(task)
                task.add_done_callback(pending.discard)
                number += 1
            await asyncio.gather(*pending)

    async def _send(self, client: httpx.AsyncClient, start: float, number: int, due: float) -> None:
        token = f"{int(time.time())}-{number}"
        status, error = 0, ""
        try:
            status = (await client.send(self.request(token))).status_code
        except httpx.HTTPError as problem:
            error = f"{type(problem).__name__}: {problem}"
        self.ledger.attempts.append(Attempt(number, token, due, time.monotonic() - start, status, error))
