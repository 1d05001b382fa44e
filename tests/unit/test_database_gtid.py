# SPDX-License-Identifier: Apache-2.0
"""The algebra of transaction ids, and that role database judges alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.fleet.database import gtid
from infra.inventory.ansible.modules import mariadb_topology as topology

SETS = st.dictionaries(st.tuples(st.integers(0, 2), st.integers(1, 4)), st.integers(1, 30), max_size=6)


@given(SETS)
def test_a_set_survives_its_text(one: dict[gtid.Origin, int]) -> None:
    """What `gtid_binlog_state` takes is read back as the same."""
    assert gtid.parse(gtid.text(one)) == one


@given(SETS, SETS)
def test_what_is_missing_is_exactly_what_a_union_adds(
    have: dict[gtid.Origin, int], need: dict[gtid.Origin, int]
) -> None:
    """Nothing is missing from a union, and with what is missing one covers."""
    both = gtid.union(have, need)
    assert gtid.covers(both, have)
    assert gtid.covers(both, need)
    spans = gtid.missing(have, need)
    assert gtid.covers(have, need) == (not spans) == (both == have)
    mended = have | {(span.domain, span.server): span.last for span in spans}
    assert mended == both


@given(SETS, SETS)
def test_role_database_and_the_procedures_judge_alike(
    one: dict[gtid.Origin, int], other: dict[gtid.Origin, int]
) -> None:
    """The module that elects in a converge has the same algebra: two that differ would fight."""
    states = [{"binlog_state": gtid.text(item), "replica_position": ""} for item in (one, other)]
    assert topology.positions(states[0]) == one
    assert topology.covers(states[0], states[1]) == gtid.covers(one, other)


def test_spans_are_told_as_people_write_them() -> None:
    """One transaction by its id, several by the first and the last."""
    found = gtid.missing(gtid.parse("1-7-40"), gtid.parse("1-7-42", "1-9-1", "0-3-1\n,"))
    assert [str(span) for span in found] == ["0-3-1", "1-7-41 to 1-7-42", "1-9-1"]


@pytest.mark.parametrize("bad", ["1-2", "a-b-c", "1-2-3-4"])
def test_what_is_no_gtid_is_refused(bad: str) -> None:
    """A list that cannot be read must not count as empty."""
    with pytest.raises(ValueError, match=r"."):
        gtid.parse(bad)
