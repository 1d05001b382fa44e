# SPDX-License-Identifier: Apache-2.0
"""Statistics of the bench: what a ratio, a quantile and a bound promise."""

from __future__ import annotations

import pytest

from loadtests.bench.statistics import lower_bound, nearest_rank, pair_ratios, ratio_of_medians


def test_one_disturbed_run_of_five_does_not_move_the_ratio() -> None:
    """A shared machine always disturbs some run; a mean would carry that into the verdict."""
    assert ratio_of_medians([60, 60, 60, 60, 1], [100, 100, 100, 100, 900]) == pytest.approx(0.6)


@pytest.mark.parametrize(("ours", "theirs"), [([], [1.0]), ([1.0], []), ([1.0], [0.0])])
def test_a_ratio_without_two_sides_is_refused(ours: list[float], theirs: list[float]) -> None:
    """A reference that did nothing would make any platform look infinitely fast."""
    with pytest.raises(ValueError, match=r"sides|did nothing"):
        ratio_of_medians(ours, theirs)


def test_the_spread_shows_the_worst_and_the_best_pair() -> None:
    """A median alone hides how far single pairs lie apart."""
    assert pair_ratios([50, 60, 90], [100, 100, 100]) == (0.5, 0.9)
    with pytest.raises(ValueError, match="no pair"):
        pair_ratios([1], [0])


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([3, 1, 2], 0.5, 2),
        ([1, 2, 3, 4], 0.5, 2),
        (list(range(1, 51)), 0.99, 50),
        (list(range(1, 101)), 0.99, 99),
        (list(range(1, 201)), 0.99, 198),
        ([7], 1.0, 7),
    ],
)
def test_a_quantile_is_a_value_that_was_measured(values: list[float], share: float, expected: float) -> None:
    """Interpolation would report a p99 of 50 samples that is better than the worst one seen."""
    assert nearest_rank(values, share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_a_quantile_of_nothing_is_refused(values: list[float], share: float) -> None:
    """No samples is no good news."""
    with pytest.raises(ValueError, match=r"quantile|share"):
        nearest_rank(values, share)


@pytest.mark.parametrize(
    ("good", "trials", "bound"),
    [(50, 50, 0.05 ** (1 / 50)), (1, 1, 0.05), (0, 10, 0.0), (49, 50, 0.9086), (5, 10, 0.2224)],
)
def test_the_bound_is_that_of_clopper_and_pearson(good: int, trials: int, bound: float) -> None:
    """50 of 50 is 94 %, not 100 %: the record says how much a run can show."""
    assert lower_bound(good, trials) == pytest.approx(bound, abs=5e-4)


@pytest.mark.parametrize(("good", "trials"), [(2, 1), (-1, 5), (0, 0)])
def test_a_rate_that_cannot_be_is_refused(good: int, trials: int) -> None:
    """A miscount must not end as a bound."""
    with pytest.raises(ValueError, match="no rate"):
        lower_bound(good, trials)
