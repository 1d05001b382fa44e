# SPDX-License-Identifier: Apache-2.0
"""A switchover that fails anywhere lets clients in again and leaves one writer, or says there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.fleet.database import switchover
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.session import SessionError
from tests.unit import fleet_world
from tests.unit.database_world import World, refuse

if TYPE_CHECKING:
    from pathlib import Path

    from infra.spec import Platform


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """Return a platform with two databases and two edges."""
    return fleet_world.platform(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for clocks of real hosts."""
    for name in ("REST_SECONDS", "FENCE_SECONDS", "LOOK_AGAIN_SECONDS", "DRAIN_SECONDS"):
        monkeypatch.setattr(switchover, name, 0.01)


def prepared(world: World, platform: Platform, to: str = "") -> switchover.Switchover:
    """Return a switchover that every guard lets pass."""
    view = world.view(platform)
    situation, candidate = switchover.plan(view, to)
    return switchover.Switchover(view, situation, candidate, world.sources(), say=world.said.append)


def let_in(world: World) -> bool:
    """Tell whether every edge takes connections."""
    return all(edge.limit == 100 for edge in world.edges.values())


def test_the_writer_changes_and_every_edge_leads_there(platform: Platform) -> None:
    """Held first, released last, and the old server follows the new one."""
    world = World()
    timeline = prepared(world, platform).run()
    assert world.writers() == ["db-2"]
    assert (world.servers["db-1"].source, world.servers["db-2"].source) == ("db-2", "")
    assert {edge.up for edge in world.edges.values()} == {"db-2"}
    assert let_in(world)
    assert timeline.tries == 1
    statements = [text for _, text in world.log]
    held = statements.index("set maxconn frontend database 0")
    closed, opened = (
        statements.index("SET GLOBAL read_only = ON"),
        statements.index("SET GLOBAL read_only = OFF"),
    )
    released = max(n for n, text in enumerate(statements) if text == "set maxconn frontend database 100")
    assert held < closed < opened < released


@pytest.mark.parametrize(
    ("host", "part"),
    [
        ("db-1", "SET GLOBAL read_only = ON"), ("db-1", "gtid_binlog_pos AS position"),
        ("db-2", "MASTER_GTID_WAIT"), ("db-1", "AS busy"),
    ],
)  # fmt: skip
def test_a_refusal_before_the_promotion_is_undone_and_tried_again(
    platform: Platform, host: str, part: str
) -> None:
    """Once refused: the second try carries it out, where the failure is one of the hand-over."""
    world = World()
    ready = prepared(world, platform)
    world.fault = refuse(host, part)
    if part == "AS busy":  # of a look, not of the hand-over: no second try, and nothing changed
        with pytest.raises(PerennialError):
            ready.run()
        assert world.writers() == ["db-1"]
    else:
        assert ready.run().tries == 2
        assert world.writers() == ["db-2"]
    assert let_in(world)


@pytest.mark.parametrize(
    ("host", "part"), [("db-1", "gtid_binlog_pos AS position"), ("db-2", "MASTER_GTID_WAIT")]
)
def test_a_hand_over_that_never_works_ends_with_the_old_writer(
    platform: Platform, host: str, part: str
) -> None:
    """Refused (4) after some tries, each undone: the old server takes writes, and clients are let in."""
    world = World()
    ready = prepared(world, platform)
    world.fault = lambda where, text: (
        SessionError("refused", where=host) if where == host and part in text else None
    )
    with pytest.raises(PerennialError, match="refused") as caught:
        ready.run()
    assert caught.value.code is Exit.REFUSED
    assert world.writers() == ["db-1"]
    assert let_in(world)


def test_sessions_that_do_not_end_are_not_cut_off(platform: Platform) -> None:
    """Refused (4) after some tries; the old server never was read-only."""
    world = World()
    ready = prepared(world, platform)
    world.edges["edge-1"].young, world.servers["db-1"].busy = 3, 2
    with pytest.raises(PerennialError, match="3 sessions that had just begun did not end") as caught:
        ready.run()
    assert caught.value.code is Exit.REFUSED
    assert ("db-1", "SET GLOBAL read_only = ON") not in world.log
    assert world.writers() == ["db-1"]
    assert let_in(world)


@pytest.mark.parametrize("part", ["SET GLOBAL read_only = ON", "gtid_binlog_pos AS position"])
def test_a_lost_old_server_takes_writes_again_by_itself(platform: Platform, part: str) -> None:
    """Its net is carried out by the host; the edges are released."""
    world = World()
    ready = prepared(world, platform)
    world.fault = refuse("db-1", part, lost=True)
    with pytest.raises(PerennialError):
        ready.run()
    assert world.writers() == ["db-1"]
    assert let_in(world)


def test_a_candidate_that_refuses_to_write_gives_the_old_server_back(platform: Platform) -> None:
    """It says that it is read-only, so nothing can have been written there."""
    world = World()
    ready = prepared(world, platform)
    world.fault = refuse("db-2", "STOP ALL REPLICAS")
    with pytest.raises(PerennialError, match="db-1 writes as before"):
        ready.run()
    assert world.writers() == ["db-1"]
    assert let_in(world)


def test_a_candidate_lost_in_its_promotion_leaves_no_second_writer(platform: Platform) -> None:
    """Nobody knows what it did: the old one stays read-only, and the next command is named (93)."""
    world = World()
    ready = prepared(world, platform)
    opened = refuse("db-2", "SET GLOBAL read_only = OFF", lost=True)
    looked = refuse("db-2", "AS server_id", lost=True)
    world.fault = lambda host, text: (
        opened(host, text) or (looked(host, text) if ("db-2", "STOP ALL REPLICAS") in world.log else None)
    )
    with pytest.raises(PerennialError, match="did not answer; db-1 is read-only") as caught:
        ready.run()
    assert caught.value.code is Exit.ROLLBACK_FAILED
    assert caught.value.next == "perennial fleet failover"
    assert world.servers["db-1"].read_only
    assert let_in(world)


def test_writes_on_the_old_server_after_the_end_are_found(platform: Platform) -> None:
    """The fence: a server with its own transactions after it was read-only is an error of integrity (6)."""
    world = World()
    ready = prepared(world, platform)

    def sneak(host: str, text: str) -> None:
        """Write once more on the old server when it begins to follow."""
        if host == "db-1" and text == "START REPLICA":
            world.servers["db-1"].transactions[1] = 11

    world.fault = sneak
    with pytest.raises(PerennialError, match="took writes after it was read-only: 1-1-11") as caught:
        ready.run()
    assert caught.value.code is Exit.INTEGRITY
