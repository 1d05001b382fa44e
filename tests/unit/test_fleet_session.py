# SPDX-License-Identifier: Apache-2.0
"""What a host does with an armed session: whoever holds something from afar and is lost leaves none held."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from infra.fleet import session, session_program
from tests.unit import fleet_world

if TYPE_CHECKING:
    from pathlib import Path


class Backend:
    """Remembers statements; `bad` is refused."""

    def __init__(self) -> None:
        """Begin empty."""
        self.done: list[str] = []
        self.closed = False

    def do(self, statement: list[Any], guard: float) -> str:
        """Remember one."""
        if statement[0] == "bad":
            raise ValueError("refused")
        self.done.append(statement[0])
        return "fine"

    def close(self) -> None:
        """Remember the end."""
        self.closed = True


class Script:
    """Gives requests in order; None is a deadline that passes, the end of the list the end of the input."""

    def __init__(self, *requests: dict[str, Any] | None) -> None:
        """Keep them."""
        self.left = list(requests)

    def next(self, until: float | None) -> str | None:
        """Return the next one, as Lines."""
        if not self.left:
            return ""
        request = self.left.pop(0)
        assert request is not None or until is not None, "nothing is armed: it would wait for ever"
        return None if request is None else json.dumps(request)


HOLD = {"arm": [["release"]], "seconds": 4, "do": [["hold"]]}


@pytest.mark.parametrize(
    ("requests", "done", "fired"),
    [
        ([HOLD, {"do": [["release"]], "disarm": True}], ["hold", "release"], 0),
        ([HOLD], ["hold", "release"], 1),  # the caller is gone
        ([HOLD, None, {"do": [["look"]]}], ["hold", "release", "look"], 1),  # the caller is slow
        ([HOLD, {"do": [["bad"]], "disarm": True}], ["hold", "release"], 1),  # a refusal does not disarm
        ([{"do": [["look"], ["bad"], ["never"]]}], ["look"], 0),
    ],
)
def test_what_is_armed_is_carried_out_once_unless_it_is_disarmed(
    requests: list[dict[str, Any] | None], done: list[str], fired: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the end of the input, and after its time; every request is answered."""
    backend = Backend()
    service = session_program.Service(backend)
    service.serve(Script(*requests))  # type: ignore[arg-type]
    assert (backend.done, service.fired, backend.closed) == (done, fired, True)
    assert len(capsys.readouterr().out.splitlines()) == len([one for one in requests if one])


def test_a_session_talks_to_the_program_and_notices_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers, refusals, and a lost host are three different things; values travel on the input alone."""
    program = (
        "import sys, json\n"
        "print(json.dumps({'answers': [], 'fired': 0}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    do = json.loads(line)['do']\n"
        "    if do[0][0] == 'die': sys.exit('the host went away')\n"
        "    reply = {'error': 'E: no', 'fired': 0} if do[0][0] == 'bad' else {'answers': do, 'fired': 2}\n"
        "    print(json.dumps(reply), flush=True)\n"
    )
    started: list[list[str]] = []

    class Local:
        """Reaches this machine."""

        def argv(self, remote: str) -> list[str]:
            """Return what runs the program here."""
            started.append([remote])
            return [sys.executable, "-c", program]

    monkeypatch.setattr(session, "reach", lambda _fleet, _host: Local())
    with session.sessions(fleet_world.fleet(tmp_path)) as opened:
        one = opened.open("db-1", "mariadb")
        assert one.do(["SET PASSWORD", "planted-value"]) == [["SET PASSWORD", "planted-value"]]
        assert one.fired == 2
        with pytest.raises(session.SessionError, match="mariadb refused: E: no"):
            one.do(["bad"])
        with pytest.raises(session.SessionLostError, match="the host went away"):
            one.do(["die"])
    assert "planted-value" not in str(started)


def test_a_host_without_the_daemon_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the last word of the host."""

    class Refusing:
        """Ends at once."""

        def argv(self, remote: str) -> list[str]:
            """Return a program that fails."""
            del remote
            return [sys.executable, "-c", "import sys; sys.exit('connection refused')"]

    monkeypatch.setattr(session, "reach", lambda _fleet, _host: Refusing())
    with pytest.raises(session.SessionLostError, match="db-1: mariadb cannot be asked: connection refused"):
        session.SshSessions(fleet_world.fleet(tmp_path)).open("db-1", "mariadb")
