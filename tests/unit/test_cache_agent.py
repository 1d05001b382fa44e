# SPDX-License-Identifier: Apache-2.0
"""The page cache agent's promise: no ban is ever skipped, and it says when it cannot know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.edge_world import World, bans


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return an edge that has just been started for the first time."""
    return World(tmp_path)


def test_unknown_cursor_bans_everything_and_continues_at_the_end(world: World) -> None:
    """What happened before the first start cannot be known."""
    world.table.add("p1")
    assert world.round()
    assert world.varnish.done == [bans.EVERYTHING]
    world.table.add("p2")
    world.round()
    assert world.varnish.has("p2", since=1)


def test_a_ban_is_repeated_after_2_8_and_35_seconds(world: World) -> None:
    """A fetch that was under way may have stored the old page after the ban."""
    world.settled().table.add("p42", "front")
    moments = []
    for step in range(100):
        before = len(world.varnish.done)
        world.round()
        moments += [step * 0.5] * (len(world.varnish.done) - before)
    assert moments == [0, 2, 8, 35]


def test_everything_is_repeated_too(world: World) -> None:
    """A lost cursor is no protection against a fetch under way."""
    for _ in range(100):
        world.round()
    assert world.varnish.done == [bans.EVERYTHING] * 4


def test_another_epoch_bans_everything(world: World) -> None:
    """A table made anew counts from one again."""
    world.settled().table.epoch = "e2"
    world.round()
    assert world.varnish.done == [bans.EVERYTHING]


def test_rows_gone_before_they_were_read_ban_everything(world: World) -> None:
    """Rows are kept for a day; an edge that was away longer has lost some."""
    world.settled()
    for key in ("p1", "p2", "p3"):
        world.table.add(key)
    del world.table.rows[1]
    world.round()
    assert world.varnish.done == [bans.EVERYTHING]


def test_a_list_that_ends_before_the_cursor_bans_everything(world: World) -> None:
    """A restored database has an older list of the same epoch."""
    world.settled()
    for key in ("p1", "p2"):
        world.table.add(key)
    world.round()
    world.varnish.done.clear()
    del world.table.rows[2]
    world.round()
    assert world.varnish.done == [bans.EVERYTHING]


def test_a_row_that_appears_late_is_not_passed_over(world: World) -> None:
    """Numbers are given before rows are committed: 2 may be seen before 1."""
    world.settled().table.add("p0")
    late = world.table.add("p1")
    keys = world.table.rows.pop(late)
    world.table.add("p2")
    world.round()
    world.round(10)
    assert world.varnish.has("p2")
    assert not world.varnish.has("p1")
    world.table.rows[late] = keys
    world.round()
    assert world.varnish.has("p1")


def test_a_number_that_never_comes_does_not_hold_the_cursor_for_ever(world: World) -> None:
    """A rolled back insert leaves a hole."""
    world.settled().table.add("p1")
    world.round()
    world.table.next += 1
    world.table.add("p3")
    for _ in range(300):
        world.round()
    assert world.agent.sites[0].contiguous == 3
    assert world.agent.sites[0].beyond == {}


def test_more_rows_than_one_answer_are_all_taken(world: World) -> None:
    """An import writes thousands."""
    world.settled()
    for number in range(1234):
        world.table.add(f"p{number}")
    assert world.round()
    assert all(world.varnish.has(f"p{number}") for number in range(1234))


def test_a_failed_ban_is_tried_again_and_meanwhile_nobody_is_healthy(world: World) -> None:
    """Half of the bans of a round may be applied when Varnish goes away."""
    world.settled()
    for number in range(60):
        world.table.add(f"p{number}")
    answers = iter([True, False])
    world.varnish.works = lambda: next(answers, True)
    assert not world.round()
    assert world.agent.sites[0].contiguous == 0
    assert world.round()
    assert all(world.varnish.has(f"p{number}") for number in range(60))


def test_health_is_a_lease_of_three_seconds(world: World) -> None:
    """An edge that hears nothing must stop using its cache by itself."""
    assert not world.agent.healthy(world.now)
    world.settled().table.up = False
    since = world.now
    assert not world.round()
    assert world.agent.healthy(since + 2.9)
    assert not world.agent.healthy(since + 3.0)
    world.table.up = True
    world.round()
    assert world.agent.healthy(world.now)


def test_a_restart_repeats_what_was_not_repeated_enough(world: World) -> None:
    """The cursor on disk stands before every row whose repetitions are not done."""
    world.settled().table.add("p1")
    world.round()
    world.varnish.done.clear()
    world.restart()
    world.round()
    assert world.varnish.has("p1")
    assert bans.EVERYTHING not in world.varnish.done


def test_a_restart_within_the_repetitions_of_everything_begins_anew(world: World) -> None:
    """Those repetitions live in no file."""
    world.round()
    world.restart()
    world.varnish.done.clear()
    world.round()
    assert world.varnish.done == [bans.EVERYTHING]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"one": {"epoch": "e1"}}', '{"one": 3}'])
def test_an_unusable_state_file_is_an_unknown_cursor(world: World, text: str) -> None:
    """A full disk may leave anything."""
    world.settled()
    world.state.write_text(text)
    world.restart()
    world.round()
    assert world.varnish.done == [bans.EVERYTHING]


def test_a_full_disk_does_not_stop_bans(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older cursor stays in place, which is safe."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    world.settled().table.add("p1")
    monkeypatch.setattr(Path, "write_text", full)
    assert world.round()
    assert world.varnish.has("p1")


@pytest.mark.parametrize("keys", [["all"], [], ["p1", "x y"], ["p1)"], ["p1", "a" * 65]])
def test_a_row_that_is_not_plain_keys_bans_everything(keys: list[str]) -> None:
    """Too much is safe, too little is not; and nobody writes Varnish commands through a key."""
    assert bans.expressions([bans.Ban(1, tuple(keys))]) == [bans.EVERYTHING]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"epoch": "", "first": 1, "last": 1, "bans": []},
        {"epoch": "e", "first": 1, "last": 1, "bans": [{"id": 1}]},
    ],
)
def test_an_answer_of_another_shape_is_an_error(document: Any) -> None:
    """A login page with status 200 is not an empty list of bans."""
    with pytest.raises(bans.AgentError):
        bans.page_from(document)


def test_metrics_tell_health_lag_and_counts(world: World) -> None:
    """Alerts stand on these names."""
    assert "perennial_cache_ban_lag_seconds +Inf" in world.agent.metrics(world.now)
    world.round()
    text = world.agent.metrics(world.now)
    assert "perennial_cache_agent_healthy 1\n" in text
    assert 'perennial_cache_bans_applied_total{kind="everything"} 1\n' in text
