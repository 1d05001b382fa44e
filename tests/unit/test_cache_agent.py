# SPDX-License-Identifier: Apache-2.0
"""The page cache agent's promise: no ban is ever skipped, and it says when it cannot know."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = Path(__file__).parents[2] / "roles" / "edge" / "files"


def load(name: str) -> Any:
    """Return a module of the role; it is installed on hosts and not importable from here."""
    spec = importlib.util.spec_from_file_location(name, FILES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


bans = load("cache_bans")


class Table:
    """The application's table, as the endpoint shows it."""

    def __init__(self) -> None:
        self.epoch = "e1"
        self.rows: dict[int, tuple[str, ...]] = {}
        self.next = 1
        self.up = True
        self.asked: list[int] = []

    def add(self, *keys: str) -> int:
        """Write a row and return its number."""
        number, self.next = self.next, self.next + 1
        self.rows[number] = keys
        return number

    def fetch(self, domain: str, after: int) -> Any:
        """Answer as bans.php does."""
        self.asked.append(after)
        if not self.up:
            raise bans.AgentError("down")
        rows = [{"id": n, "keys": list(keys)} for n, keys in sorted(self.rows.items()) if n > after][:500]
        first, last = min(self.rows, default=0), max(self.rows, default=0)
        return bans.page_from({"epoch": self.epoch, "first": first, "last": last, "bans": rows})


class Varnish:
    """Notes what was banned; fails on demand, also half way through a round."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.works: Callable[[], bool] = lambda: True

    def ban(self, expression: str) -> None:
        """Take one ban, or fail."""
        if not self.works():
            raise bans.AgentError("no answer")
        self.done.append(expression)

    def has(self, key: str, since: int = 0) -> bool:
        """Return whether a ban since position `since` takes objects with `key`."""
        words = [
            expression.replace("(", " ").replace(")", " ").replace("|", " ").split()
            for expression in self.done
        ]
        return any(
            key in ban or text == bans.EVERYTHING
            for ban, text in zip(words[since:], self.done[since:], strict=True)
        )


class World:
    """One edge with its table, Varnish and state file; `restart` is a new process over the same file."""

    def __init__(self, folder: Path) -> None:
        self.table, self.varnish, self.state = Table(), Varnish(), folder / "cursors.json"
        self.now = 1000.0
        self.restart()

    def restart(self) -> None:
        """Start a new agent."""
        self.agent = bans.Agent([bans.Site("one", "one.test")], self.table, self.varnish, self.state)

    def round(self, seconds: float = 0.5) -> bool:
        """Let time pass and do one round."""
        self.now += seconds
        return bool(self.agent.round(self.now))

    def set(self, verb: str) -> None:
        """Let the table answer or not (up, down), or Varnish (works, broken)."""
        if verb in {"up", "down"}:
            self.table.up = verb == "up"
        else:
            self.varnish.works = lambda: verb == "works"

    def settled(self) -> World:
        """Return this world after the first ban of everything and its repetitions."""
        for seconds in (0.5, 3, 9, 40):
            assert self.round(seconds)
        self.varnish.done.clear()
        return self


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
