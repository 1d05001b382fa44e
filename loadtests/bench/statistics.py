# SPDX-License-Identifier: Apache-2.0
"""The few statistics a bench needs: medians of alternating runs, quantiles by rank, the bound of a rate."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HALVINGS = 60


def ratio_of_medians(measured: Sequence[float], reference: Sequence[float]) -> float:
    """Return median(measured) / median(reference), which one disturbed run of several does not move.

    Raises ValueError where a side has no runs, or the reference did nothing.
    """
    if not measured or not reference:
        raise ValueError("a ratio needs runs on both sides")
    if median(reference) <= 0:
        raise ValueError("the reference did nothing: there is no ratio to it")
    return median(measured) / median(reference)


def pair_ratios(measured: Sequence[float], reference: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and highest ratio of neighbouring runs: how far single pairs lie apart."""
    ratios = [a / b for a, b in zip(measured, reference, strict=True) if b > 0]
    if not ratios:
        raise ValueError("no pair has a reference that did anything")
    return min(ratios), max(ratios)


def nearest_rank(values: Sequence[float], share: float) -> float:
    """Return the smallest of `values` that at least `share` (0 < share <= 1) of them do not exceed.

    The nearest-rank quantile is always a value that was measured; p99 of up to 99 samples is the worst one.
    """
    if not values:
        raise ValueError("a quantile needs values")
    if not 0 < share <= 1:
        raise ValueError(f"a share lies in (0, 1], not {share}")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def lower_bound(good: int, trials: int, confidence: float = 0.95) -> float:
    """Return the one-sided lower bound of a success rate after `good` of `trials` (Clopper, Pearson 1934).

    With no failure it is (1 - confidence) ** (1 / trials): 0.942 after 50 of 50.
    """
    if trials < 1 or not 0 <= good <= trials:
        raise ValueError(f"{good} of {trials} is no rate")
    if good == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        # The bound is the rate at which so many successes, or more, are as unlikely as 1 - confidence.
        if _at_least(good, trials, middle) < 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def _at_least(good: int, trials: int, rate: float) -> float:
    return math.fsum(
        math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(good, trials + 1)
    )
