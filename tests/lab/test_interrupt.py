# SPDX-License-Identifier: Apache-2.0
"""A `make up` that ends at any moment is followed by one that completes (design, section 4)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from infra.fleet.exits import Exit
from tests.lab import runs
from tests.lab.acts import lose
from tests.lab_session import ENVIRONMENT, make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet
    from loadtests.probe import Target

pytestmark = pytest.mark.lab
MOST_SECONDS = 90.0


def moments(count: int) -> Iterator[tuple[float, float]]:
    """Return for each of `count` equal parts of a run its begin and end, as shares of the whole.

    Moments drawn one from each part meet the beginning, the middle and the end of a run, at any count.
    """
    return ((number / count, (number + 1) / count) for number in range(count))


def broken_off(process: subprocess.Popen[str], delay: float, *, by_kill: bool) -> bool:
    """End a run after `delay` s; return whether it was still at work, and hold what must be true then."""
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        pass
    else:
        return False
    members = runs.family(process)
    (runs.kill if by_kill else runs.interrupt)(process)
    code = process.wait(runs.END_SECONDS)
    assert code in ({-signal.SIGKILL} if by_kill else {Exit.INTERRUPTED, -signal.SIGINT})
    assert runs.alive(members) == []
    # In the first moments nothing is at work yet and the signal itself ends it; a shell calls both 130.
    return code != -signal.SIGINT


def interrupt_at(fleet: Fleet, site: Target, dice: random.Random, share: float, *, kill: bool) -> bool:
    """Lose two hosts, break a run off after `share` of its usual time, and let the next one complete."""
    lost = sorted(dice.sample(sorted(fleet.platform.hosts), 2))
    delay = share * runs.usual_seconds(ENVIRONMENT, MOST_SECONDS)
    print(f"lost {lost}; {'SIGKILL' if kill else 'SIGINT'} after {delay:.1f} s", flush=True)
    for host in lost:
        lose(fleet, host)
    output = runs.STATE / ENVIRONMENT / "logs" / "interrupted.out"
    process = runs.start("up", ENVIRONMENT, output)
    begun = broken_off(process, delay, by_kill=kill)
    said = output.read_text("utf-8")
    assert "Traceback" not in said, said[-3000:]
    if begun and not kill:
        assert "interrupted; run the same command again, it continues" in said, said[-3000:]
    begin = time.monotonic()
    result = make("up", "--yes")
    print(f"  the next run took {time.monotonic() - begin:.0f} s", flush=True)
    assert result.returncode == Exit.DONE, f"after {lost}, {delay:.1f} s:\n{result.stdout[-6000:]}"
    assert runs.answers(site)
    assert runs.left_over(fleet) == {}
    return begun


def break_off(fleet: Fleet, site: Target, count: int, killed: set[int]) -> int:
    """Break `count` runs off, those numbered in `killed` by SIGKILL; return how many were at work then."""
    seed = int(os.environ.get("PERENNIAL_SEED") or time.time())
    print(f"PERENNIAL_SEED={seed}", flush=True)
    dice = random.Random(seed)  # noqa: S311 - moments that can be drawn again, no secret
    return sum(
        interrupt_at(fleet, site, dice, dice.uniform(first, last), kill=number in killed)
        for number, (first, last) in enumerate(moments(count))
    )


@pytest.mark.timeout(1200)
@pytest.mark.slow
def test_three_interrupted_runs_are_each_followed_by_one_that_completes(fleet: Fleet, site: Target) -> None:
    """Two runs by Ctrl-C, one with every process killed; two hosts are lost before each."""
    assert break_off(fleet, site, 3, killed={1}) >= 2


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_foundation_ten_interrupted_runs_are_each_followed_by_one_that_completes(
    fleet: Fleet, site: Target
) -> None:
    """The same at ten moments; every third run is killed."""
    assert break_off(fleet, site, 10, killed={1, 4, 7}) >= 8
