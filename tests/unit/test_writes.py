# SPDX-License-Identifier: Apache-2.0
"""The ledger of writes: a lost row, a doubled row, a failure and a gap are seen."""

from __future__ import annotations

import time

from loadtests.probe import Attempt, Ledger
from loadtests.writes import Writer, audit, longest_gap


def ledger(*done: float, failed: tuple[int, ...] = ()) -> Ledger:
    """Return a ledger of tokens 0, 1, … that were answered at these seconds."""
    return Ledger([Attempt(n, str(n), at, at, 0 if n in failed else 200) for n, at in enumerate(done)])


def test_what_was_acknowledged_must_be_there_once() -> None:
    """A failed write may be there or not; twice is wrong for it too."""
    three = ledger(0.1, 0.2, 0.3, failed=(2,))
    assert audit(three, ["0", "1"]).holds
    assert audit(three, ["0", "1", "2", "from elsewhere"]).holds
    assert audit(three, ["0"]).lost == ("1",)
    assert audit(three, ["0", "1", "1"]).doubled == ("1",)
    assert audit(three, ["0", "1", "2", "2"]).doubled == ("2",)


def test_the_longest_gap_is_of_acknowledgements_and_of_the_time_asked_for() -> None:
    """A failure in between does not shorten it."""
    assert longest_gap(ledger(1.0, 1.5, 2.5, failed=(1,))) == 1.5
    assert longest_gap(ledger(1.0, 3.0, 3.5), begin=3.1) == 0.5
    assert longest_gap(ledger(1.0)) == 0


def test_a_slow_write_does_not_hold_up_the_next() -> None:
    """Open loop: writes are due by the clock, and an error is an attempt that failed."""

    def write(token: str) -> None:
        """Hang once, fail once."""
        if token.endswith("-1"):
            time.sleep(0.3)
        if token.endswith("-2"):
            raise OSError("refused")

    with Writer(write, 50, workers=4) as writer:
        time.sleep(0.25)
        writer.stop()
    found = {attempt.number: attempt for attempt in writer.ledger.attempts}
    assert set(found) == set(range(len(found)))
    assert len(found) > 8
    assert found[3].done < found[1].done
    assert [attempt.number for attempt in writer.ledger.failed] == [2]
