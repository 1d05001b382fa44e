# SPDX-License-Identifier: Apache-2.0
"""Locks of the fleet, judged with the very program that runs on the lock host."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from infra.fleet import lock
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.identity import current
from infra.fleet.lock_program import answer
from infra.fleet.memory import MemoryRunner
from tests.unit.fleet_world import fleet


def locks(directory: Path) -> MemoryRunner:
    """Return a lock host in `directory`: it runs the program as the real one does, with its mutex."""
    program = (
        Path(lock.__file__)
        .with_name("lock_program.py")
        .read_text()
        .replace("/var/lib/perennial/locks", str(directory))
    )

    def run(host: str, line: str, stdin: str) -> str | None:
        if not line.startswith("python3 -c"):
            return None
        assert host == "ctl-1"
        done = subprocess.run(
            [sys.executable, "-c", program], input=stdin, capture_output=True, text=True, check=True
        )
        return done.stdout

    return MemoryRunner(rules=[run])


def test_a_second_holder_is_refused_with_owner_reason_and_age(tmp_path: Path) -> None:
    """Code 8 alone says too little: the person needs to know whom to ask and whether it is stale."""
    runner, made = locks(tmp_path / "l"), fleet(tmp_path)
    second = lock.FleetLock(runner, "ctl-1", "fleet", "other")
    with lock.held(made, "patch the edges", runner=runner), pytest.raises(PerennialError) as failure:
        second.acquire()
    assert failure.value.code is Exit.LOCKED
    assert f"held by {current()}" in str(failure.value)
    assert "patch the edges" in str(failure.value)
    with lock.held(made, "after", runner=runner):
        pass


def test_of_many_that_ask_at_once_exactly_one_gets_it(tmp_path: Path) -> None:
    """Between looking and taking lies the race that a lock exists for."""
    runner = locks(tmp_path / "l")
    granted: list[str] = []
    refused: list[Exit] = []

    def take(reason: str) -> None:
        mine = lock.FleetLock(runner, "ctl-1", "fleet", reason)
        try:
            mine.acquire()
            granted.append(reason)
        except PerennialError as error:
            refused.append(error.code)

    threads = [threading.Thread(target=take, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 1
    assert refused == [Exit.LOCKED] * 7


REQUEST = {"name": "fleet", "owner": "a@m[1]", "process": {}, "reason": "r", "ttl": 100.0}


def ask(directory: Path, action: str, token: str, now: float, **more: Any) -> dict[str, Any]:
    """Ask the program directly, at a time of our choice."""
    directory.mkdir(exist_ok=True)
    return answer({**REQUEST, "action": action, "token": token, **more}, directory, now)


def test_only_an_expired_lock_can_be_taken_over(tmp_path: Path) -> None:
    """A holder that lost its network is still working until its time is up."""
    assert ask(tmp_path, "acquire", "A", now=0)["granted"]
    assert not ask(tmp_path, "acquire", "B", now=99)["granted"]
    assert ask(tmp_path, "refresh", "A", now=99)["granted"]
    assert not ask(tmp_path, "acquire", "B", now=150)["granted"]
    assert ask(tmp_path, "acquire", "B", now=199)["granted"]
    assert not ask(tmp_path, "refresh", "A", now=200)["granted"]


def test_a_lock_is_given_back_only_with_its_own_token(tmp_path: Path) -> None:
    """The first holder, coming back late, must not free what the second one holds."""
    ask(tmp_path, "acquire", "B", now=0)
    assert not ask(tmp_path, "release", "A", now=1)["granted"]
    assert ask(tmp_path, "show", "C", now=1)["holder"]["owner"] == "a@m[1]"
    assert ask(tmp_path, "release", "B", now=1) == {"granted": True, "holder": None}


def test_a_lock_whose_holder_died_on_this_machine_is_taken_over_at_once(tmp_path: Path) -> None:
    """`make up` must complete after `kill -9` of the one before, not five minutes later."""
    told: list[str] = []
    runner, made = locks(tmp_path / "l"), fleet(tmp_path)
    (tmp_path / "l").mkdir()
    dead = current().as_data() | {"started": 1.0}
    ask(tmp_path / "l", "acquire", "X", now=4e9, process=dead, owner="me@here[1]")
    with lock.held(made, "next", runner=runner, say=told.append):
        assert told == ["lock fleet: its holder me@here[1] is dead, taking over"]


def test_a_lost_lock_stops_its_holder(tmp_path: Path) -> None:
    """Whoever went silent for too long must notice before the next change, not after it."""
    runner, made = locks(tmp_path / "l"), fleet(tmp_path)
    with lock.held(made, "first", runner=runner, ttl=0.5) as mine:
        (tmp_path / "l" / "fleet.json").unlink()
        other = lock.FleetLock(runner, "ctl-1", "fleet", "second")
        other.acquire()
        for _ in range(100):
            if getattr(mine, "lost", ""):
                break
            threading.Event().wait(0.05)
        with pytest.raises(PerennialError, match="was lost") as failure:
            mine.check()
        assert failure.value.code is Exit.LOCKED
    assert json.loads((tmp_path / "l" / "fleet.json").read_text())["reason"] == "second"


def test_the_lock_host_follows_from_the_description_alone(tmp_path: Path) -> None:
    """Two control hosts that chose it by what they can reach would choose differently."""
    assert lock.lock_host(fleet(tmp_path).platform) == "ctl-1"


def test_without_a_fleet_nobody_is_excluded() -> None:
    """The first `make up` has no host to keep a lock on."""
    with lock.held(None, "first make up") as nothing:
        nothing.check()


@pytest.mark.parametrize("name", ["../x", "Fleet", "", "a b"])
def test_a_lock_name_cannot_leave_its_folder(name: str) -> None:
    """The name becomes a file name on the lock host."""
    with pytest.raises(PerennialError, match="lower-case words"):
        lock.FleetLock(MemoryRunner(), "ctl-1", name, "r")
