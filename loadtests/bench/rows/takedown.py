# SPDX-License-Identifier: Apache-2.0
"""How long an edge still answers an unpublished post: from the command's start until it is gone on each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from loadtests.bench.figures import BenchError, Measurement
from loadtests.bench.pages import look, look_until, text_of
from loadtests.bench.statistics import lower_bound, nearest_rank

if TYPE_CHECKING:
    from loadtests.bench.run import Run

REACH_SECONDS = 10.0
GIVE_UP_SECONDS = 30.0
POLL_SECONDS = 0.05
TITLE = "Bench takedown {number}"
SIZE = 2000


def measure(run: Run) -> list[Measurement]:
    """Publish, let every edge cache, unpublish, and watch every edge; repeated."""
    run.say(f"unpublishing {run.counts.samples} times, watching {', '.join(run.edges)}")
    with run.editor.post(text_of(SIZE), TITLE.format(number=0)) as post:
        times = [_sample(run, post.id, number) for number in range(1, run.counts.samples + 1)]
        _stays_gone(run, post.path, TITLE.format(number=run.counts.samples))
    p50, p99 = nearest_rank(times, 0.5), nearest_rank(times, 0.99)
    good = sum(seconds <= REACH_SECONDS for seconds in times)
    bound = f"{good}/{len(times)} within {REACH_SECONDS:g} s, "
    bound += f"one-sided 95 % bound {lower_bound(good, len(times)):.3f}"
    note = f"p50 {p50:.2f} s, p99 {p99:.2f} s, worst {max(times):.2f} s, from the start of the wpctl command "
    note += f"(its own time included) until each of {len(run.edges)} edges had dropped the page; {bound}"
    rounded = [round(seconds, 3) for seconds in times]
    return [Measurement("takedown", p99, f"p99 {p99:.2f} s", notes=(note,), data={"seconds": rounded})]


def _sample(run: Run, number: str, sample: int) -> float:
    """Return the seconds from the command's start until the last edge had dropped the page."""
    title = TITLE.format(number=sample)
    run.editor.wpctl("post", "update", number, "--post_status=publish", f"--post_title={title}")
    path = run.editor.path(number)
    for edge in run.edges:
        look_until(run.at_edge(path, edge), run.trust, "hit")
        if not _shown(run, path, edge, title):
            raise BenchError(f"{edge} keeps an older state of the post than the one just published")
    begin = time.monotonic()
    with ThreadPoolExecutor(max_workers=len(run.edges)) as watchers:
        gone = [watchers.submit(_gone, run, path, edge, title, begin) for edge in run.edges]
        run.editor.wpctl("post", "update", number, "--post_status=draft")
        return max(future.result() for future in gone)


def _shown(run: Run, path: str, edge: str, title: str) -> bool:
    return title.encode() in look(run.at_edge(path, edge), run.trust).body


def _gone(run: Run, path: str, edge: str, title: str, begin: float) -> float:
    """Return the seconds since `begin` at which an edge first answered without the post."""
    while (passed := time.monotonic() - begin) < GIVE_UP_SECONDS:
        if not _shown(run, path, edge, title):
            return time.monotonic() - begin
        time.sleep(POLL_SECONDS)
    return passed


def _stays_gone(run: Run, path: str, title: str) -> None:
    """Look once more: a fetch that was under way during the ban must not have brought the page back."""
    time.sleep(2)
    back = [edge for edge in run.edges if _shown(run, path, edge, title)]
    if back:
        raise BenchError(f"the unpublished post came back on {', '.join(back)}")
