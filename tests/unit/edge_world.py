# SPDX-License-Identifier: Apache-2.0
"""An edge's surroundings for the cache agent: a table of bans, a Varnish, a clock; all of them can fail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.programs import program

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = Path(__file__).parents[2] / "roles" / "edge" / "files"


def load(name: str) -> Any:
    """Return a program of the role as a module; it is installed on hosts and not importable from here."""
    if name in sys.modules:
        return sys.modules[name]
    return program(f"roles/edge/files/{name}.py")


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
