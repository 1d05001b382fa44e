# SPDX-License-Identifier: Apache-2.0
"""Every act leaves START and END, whatever ends it, and the lines reach the control host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.fleet import audit_delivery, journal
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.memory import MemoryRunner
from infra.spec import CHECKOUT
from tests.unit.fleet_world import fleet


def lines(directory: Path) -> list[dict[str, Any]]:
    """Return the journal's lines."""
    return journal.Journal("unit", directory).lines()


def test_an_act_leaves_a_start_and_an_end_with_all_that_an_auditor_asks(tmp_path: Path) -> None:
    """Who, when, where, what, why, with which code, and how it went: each must be in the line itself."""
    with journal.act("unit", "make up", reason="first", hosts=["b", "a"], directory=tmp_path) as act:
        act.change("a")
    start, end = lines(tmp_path)
    assert (start["event"], end["event"], start["id"]) == ("START", "END", end["id"])
    for line in (start, end):
        assert line["environment"] == "unit"
        assert line["hosts"] == ["a", "b"]
        assert line["time"].endswith("+00:00")
        assert line["commit"]
        assert "@" in line["person"]
        assert line["reason"] == "first"
    assert (end["outcome"], end["exit_code"], end["changed"]) == ("done", 0, ["a"])
    assert end["seconds"] >= 0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (PerennialError("held", code=Exit.LOCKED), "locked"),
        (ValueError("x"), "failed"),
        (SystemExit(4), "refused"),
        (SystemExit(0), "done"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_the_end_names_how_an_act_broke_off(tmp_path: Path, error: BaseException, outcome: str) -> None:
    """The outcome is the exit code's own word, so that reports and codes cannot disagree."""
    with pytest.raises(type(error)), journal.act("unit", "x", reason="r", hosts=[], directory=tmp_path):
        raise error
    assert lines(tmp_path)[-1]["outcome"] == outcome


ACTING = """
import sys, time
from pathlib import Path
from infra.fleet import journal
with journal.act("unit", "long", reason="r", hosts=["a"], directory=Path(sys.argv[1])):
    print("begun", flush=True)
    time.sleep(30)
"""


def begin(directory: Path) -> subprocess.Popen[str]:
    """Start an act in a process of its own and return once it has begun."""
    command = [sys.executable, "-c", ACTING, str(directory)]
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_still_leaves_an_end(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM kills Python without unwinding by default: an interrupted act would have no end."""
    process = begin(tmp_path)
    process.send_signal(number)
    assert process.wait(20) != 0
    assert [line.get("outcome") for line in lines(tmp_path)] == [None, "interrupted"]


def test_an_act_that_was_killed_is_reported_by_the_next_one_once(tmp_path: Path) -> None:
    """After `kill -9` or a power cut nobody wrote an end; the journal must not keep that to itself."""
    process = begin(tmp_path)
    process.kill()
    process.wait(20)
    told: list[str] = []
    for _ in range(2):
        with journal.act("unit", "next", reason="r", hosts=[], directory=tmp_path, say=told.append):
            pass
    assert len([text for text in told if "did not end: long" in text]) == 1
    assert [line["outcome"] for line in lines(tmp_path) if line["event"] == "END"] == [
        "crashed",
        "done",
        "done",
    ]


def test_an_act_that_still_runs_is_not_called_crashed(tmp_path: Path) -> None:
    """Two acts at once are allowed where they lock different things."""
    process = begin(tmp_path)
    try:
        told: list[str] = []
        with journal.act("unit", "beside", reason="r", hosts=[], directory=tmp_path, say=told.append):
            pass
        assert not told
    finally:
        process.terminate()
        process.wait(20)


def test_a_line_cut_short_does_not_hide_the_others(tmp_path: Path) -> None:
    """A power cut in the middle of a write must not make the whole journal unreadable."""
    with journal.act("unit", "x", reason="r", hosts=[], directory=tmp_path):
        pass
    path = tmp_path / "journal.jsonl"
    path.write_text(path.read_text() + '{"event": "STA')
    assert len(lines(tmp_path)) == 2


def test_lines_written_before_a_control_host_answers_are_delivered_later_in_order(tmp_path: Path) -> None:
    """During the first `make up` there is no control host; its acts must reach the log store all the same."""
    described = fleet(tmp_path)
    silent, answering = MemoryRunner(rules=[lambda *_: 255]), MemoryRunner()
    received: list[str] = []

    def receive(host: str, line: str, stdin: str) -> int:
        assert host == "ctl-1"
        assert "perennial-audit" in line
        received.append(stdin)
        return 0

    answering.rules.append(receive)
    path = tmp_path / "journal.jsonl"
    path.write_text('{"n":1}\n{"n":2}\n')
    problems = audit_delivery.deliver(path, "unit", described, silent)
    assert len(problems) == 1
    assert "ctl-1" in problems[0]
    path.write_text(path.read_text() + '{"n":3}\n')
    assert audit_delivery.deliver(path, "unit", described, answering) == []
    assert audit_delivery.deliver(path, "unit", described, answering) == []
    assert [json.loads(text)["n"] for text in "".join(received).splitlines()] == [1, 2, 3]


def test_a_half_written_line_is_not_sent(tmp_path: Path) -> None:
    """Another process may be writing while this one delivers."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"n":1}\n{"n":')
    sent: list[str] = []

    def receive(host: str, line: str, stdin: str) -> int:
        sent.append(stdin)
        return 0

    runner = MemoryRunner(rules=[receive])
    audit_delivery.deliver(path, "unit", fleet(tmp_path), runner)
    assert sent == ['{"n":1}\n']


def test_delivery_ends_where_the_journal_ended_when_it_began(tmp_path: Path) -> None:
    """A receiver that writes into the same journal, as this machine itself would, must not feed it."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"n":1}\n')
    rounds: list[str] = []

    def receive(host: str, line: str, stdin: str) -> int:
        rounds.append(stdin)
        assert len(rounds) < 5
        with path.open("a") as file:
            file.write(stdin)
        return 0

    assert audit_delivery.deliver(path, "unit", fleet(tmp_path), MemoryRunner(rules=[receive])) == []
    assert rounds == ['{"n":1}\n']


@pytest.mark.parametrize("known_by", ["name", "address"])
def test_a_control_host_knows_itself_and_tells_its_own_syslog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known_by: str
) -> None:
    """A machine's name may differ from the description's; sent to itself, lines would come twice."""
    name, address = ("ctl-1.unit.internal", "127.0.0.1") if known_by == "name" else ("vm-4711", "192.0.2.51")
    link = {"eth0": [SimpleNamespace(address=address)]}
    monkeypatch.setattr(audit_delivery, "on_control_host", lambda: True)
    monkeypatch.setattr("platform.node", lambda: name)
    monkeypatch.setattr("psutil.net_if_addrs", lambda: link)
    monkeypatch.setattr(audit_delivery, "LOGGER", ["tee", str(tmp_path / "syslog")])
    path, runner = tmp_path / "journal.jsonl", MemoryRunner()
    path.write_text('{"n":1}\n')
    assert audit_delivery.deliver(path, "unit", fleet(tmp_path), runner) == []
    assert runner.commands == []
    assert (tmp_path / "syslog").read_text() == '{"n":1}\n'


def test_an_operators_machine_is_never_taken_for_a_control_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a machine with the control host's own files is one, whatever its name and address are."""
    monkeypatch.setattr("platform.node", lambda: "ctl-1")
    path, runner = tmp_path / "journal.jsonl", MemoryRunner()
    path.write_text('{"n":1}\n')
    audit_delivery.deliver(path, "unit", fleet(tmp_path), runner)
    assert [host for host, _ in runner.commands] == ["ctl-1"]


def test_an_act_that_cannot_be_delivered_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is safe on this machine; an unreachable log store must not stop a repair of that store."""
    monkeypatch.setattr(audit_delivery, "SshRunner", lambda *_, **__: MemoryRunner(rules=[lambda *_: 255]))
    told: list[str] = []
    made = fleet(tmp_path)
    with journal.act("unit", "x", reason="r", hosts=[], fleet=made, directory=tmp_path, say=told.append):
        pass
    assert len(lines(tmp_path)) == 2
    assert all(text.startswith("warning: audit lines of unit not on ctl-1 yet") for text in told)
    assert len(told) == 2


def test_the_journal_is_not_for_everybody(tmp_path: Path) -> None:
    """Reasons and commands may tell what an attacker wants to know."""
    with journal.act("unit", "x", reason="r", hosts=[], directory=tmp_path / "new"):
        time.sleep(0)
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "journal.jsonl").stat().st_mode & 0o007 == 0
