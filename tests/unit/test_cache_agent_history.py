# SPDX-License-Identifier: Apache-2.0
"""Random histories of one edge: polls, failures, restarts, prunings and late commits in any order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.edge_world import World

if TYPE_CHECKING:
    import pytest

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 30)),
        st.tuples(st.just("round"), st.sampled_from([0.5, 2.0, 9.0, 40.0])),
        st.tuples(
            st.sampled_from(["restart", "down", "up", "broken", "works", "prune", "epoch", "late", "commit"]),
            st.just(0),
        ),
    ),
    max_size=60,
)


def act(world: World, hidden: dict[int, tuple[str, ...]], verb: str, number: float, key: str) -> None:
    """Do one step of a history; rows in `hidden` have their number and are not visible yet."""
    if verb == "add":
        for n in range(int(number)):
            world.table.add(f"{key}-{n}")
    elif verb == "round":
        world.round(number)
    elif verb == "restart":
        world.restart()
    elif verb in {"down", "up", "broken", "works"}:
        world.set(verb)
    elif verb == "prune" and not hidden:  # rows live for a day, a commit takes no minute
        world.table.rows = dict(sorted(world.table.rows.items())[len(world.table.rows) // 2 :])
    elif verb == "epoch":
        world.table.epoch += "x"
    elif verb == "late":
        latest = world.table.add(f"{key}-late")
        hidden[latest] = world.table.rows.pop(latest)
    elif verb == "commit":
        world.table.rows |= hidden
        hidden.clear()


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_no_history_skips_a_ban(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, float]]
) -> None:
    """Whatever order of polls, failures, restarts and late commits: every row is banned after it was written.

    A row that stays invisible for longer than HOLE_SECONDS is out of the promise; histories commit within it.
    """
    world = World(tmp_path_factory.mktemp("edge"))
    hidden: dict[int, tuple[str, ...]] = {}
    written: list[tuple[str, int]] = []
    for step, (verb, number) in enumerate(steps):
        slow = hidden and verb == "round" and number > 2
        before = set(world.table.rows) | set(hidden)
        act(world, hidden, verb, 0.5 if slow else number, f"k{step}")
        fresh = (set(world.table.rows) | set(hidden)) - before
        visible = world.table.rows | hidden
        written += [(key, len(world.varnish.done)) for n in fresh for key in visible[n]]
    act(world, hidden, "commit", 0, "")
    act(world, hidden, "up", 0, "")
    act(world, hidden, "works", 0, "")
    assert world.round()
    assert world.round()
    assert world.agent.healthy(world.now)
    missing = [key for key, since in written if not world.varnish.has(key, since)]
    assert missing == []
    saved = json.loads(world.state.read_text())
    assert saved == {} or saved["one"]["cursor"] <= max(world.table.rows, default=saved["one"]["cursor"])
