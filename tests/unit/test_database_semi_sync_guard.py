# SPDX-License-Identifier: Apache-2.0
"""The guard acts on a deadlock that lasts, and on nothing that only looks like one."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from tests.programs import program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


guard = program("roles/database/files/semi_sync_guard.py")


class Session:
    """A session with a server made up: `rows` answers a query, or raises."""

    def __init__(self, rows: Callable[[str], list[tuple[Any, ...]]]) -> None:
        """Begin without a question."""
        self.rows, self.asked = rows, list[str]()

    def __enter__(self) -> Session:
        """Enter session or cursor."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave session or cursor."""

    def cursor(self) -> Session:
        """Return what executes."""
        return self

    def execute(self, query: str) -> None:
        """Note the question."""
        self.asked.append(query)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Answer the last question."""
        return self.rows(self.asked[-1])

    def close(self) -> None:
        """Be closed."""


def server(kept: Session, login: Callable[[], Session], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the guard's server whose first login gives `kept`, and every other one `login()`."""
    made = guard.Server("", "")
    logins = iter([kept])
    monkeypatch.setattr(made, "_login", lambda: next(logins, None) or login())
    return made


def hung() -> Session:
    """Fail as a login does that gets no greeting in time."""
    error = pymysql.err.OperationalError(2013, "Lost connection")
    error.__context__ = TimeoutError()
    raise error


def test_a_trouble_counts_when_it_lasts_and_is_mended_once_in_a_while() -> None:
    """A session that ends takes milliseconds; a second attempt at once would undo the first."""
    watch = guard.Watch()
    seen = [watch.stuck({"a"}, float(now)) for now in range(15)]
    assert [now for now, found in enumerate(seen) if found] == [3, 13]
    assert watch.stuck(set(), 20.0) == []
    assert watch.stuck({"a"}, 30.0) == [], "it was away meanwhile"


def test_nobody_can_log_in_while_the_kept_session_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first form of the deadlock."""
    asked = server(Session(lambda _query: [(1,)]), hung, monkeypatch)
    assert asked.wrong() == {guard.LOGINS}


def test_a_login_that_gets_no_greeting_is_told_from_a_server_that_is_down(tmp_path: Path) -> None:
    """With the real library: the first times out, the second is refused."""
    path = str(tmp_path / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    guarded = guard.Server(path, "x")
    guarded._kept = Session(lambda _query: [(1,)])
    assert guarded.wrong() == {guard.LOGINS}
    listener.close()
    with pytest.raises(guard.UnknownError):
        guarded.wrong()


def test_an_ended_session_of_a_replica_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second form: all look well, and the replica gets nothing."""
    rows = {guard.ENDED: [(1511,)]}
    asked = server(
        Session(lambda _query: [(1,)]), lambda: Session(lambda query: rows.get(query, [])), monkeypatch
    )
    assert asked.wrong() == {"replica's session 1511 does not end"}


def test_a_server_that_does_not_answer_at_all_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is overloaded, starting or down; switching semi-sync off would only risk writes."""

    def silent(_query: str) -> list[tuple[Any, ...]]:
        raise pymysql.err.OperationalError(2013, "Lost connection")

    kept = Session(silent)
    asked, watch = server(kept, hung, monkeypatch), guard.Watch()
    for now in range(10):
        guard.turn(asked, watch, float(now))
    assert not [query for query in kept.asked if query.startswith("SET")]


def test_the_deadlock_is_ended_by_the_kept_session(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Off, then on, and one line that says why."""
    kept = Session(lambda _query: [(1,)])
    asked, watch = server(kept, hung, monkeypatch), guard.Watch()
    for now in range(6):
        guard.turn(asked, watch, float(now))
    assert [query.split(" = ")[1] for query in kept.asked if query.startswith("SET")] == ["OFF", "ON"]
    assert capsys.readouterr().err.count("semi-sync deadlock: nobody can log in") == 1
