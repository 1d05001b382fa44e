# SPDX-License-Identifier: Apache-2.0
"""Golden cases of who may write and who may follow; the guards of failover, rejoin and rebuild."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from infra.fleet.database import decisions, failover, rebuild, rejoin, state, switchover
from infra.fleet.database.state import Edge, Server, Situation
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.memory import MemoryRunner
from tests.unit import fleet_world
from tests.unit.database_world import World, refuse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLLOWS: dict[str, Any] = {
    "Master_Host": "db-1.unit.internal", "Master_Server_Id": 1, "Slave_IO_Running": "Yes",
    "Slave_SQL_Running": "Yes", "Seconds_Behind_Master": 0, "Gtid_IO_Pos": "1-1-10",
}  # fmt: skip
WRITER = Server("db-1", 1, read_only=False, binlog_state="1-1-10", semi_sync_waits=True, semi_sync_clients=1)
REPLICA = Server("db-2", 2, read_only=True, binlog_state="1-1-10", replica=FOLLOWS, uptime=1000)


def situation(
    *servers: Server, silent: tuple[str, ...] = (), up: str = "db-1", limit: int = 100
) -> Situation:
    """Return a situation with one edge."""
    edge = Edge("edge-1", limit, {"db-1": "DOWN", "db-2": "DOWN"} | ({up: "UP"} if up else {}))
    found = {server.host: server for server in servers}
    return Situation(found, dict.fromkeys(silent, "connection refused"), {"edge-1": edge}, {})


def replica(**columns: Any) -> Server:
    """Return the replica with other columns of its status."""
    return replace(REPLICA, replica=FOLLOWS | columns)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (situation(WRITER, REPLICA), ""),
        (situation(WRITER, replica(Seconds_Behind_Master=1)), "1.0 s behind"),
        (situation(WRITER, replica(Seconds_Behind_Master=None)), "None s behind"),
        (situation(WRITER, replica(Slave_SQL_Running="No")), "does not replicate from db-1"),
        (situation(WRITER, replica(Master_Server_Id=9)), "does not replicate from db-1"),
        (situation(replace(WRITER, transaction_seconds=1.5), REPLICA), "transaction open for 1.5 s"),
        (situation(replace(WRITER, semi_sync_waits=False), REPLICA), "semi-synchronous replication is off"),
        (situation(replace(WRITER, semi_sync_clients=0), REPLICA), "semi-synchronous replication is off"),
        (situation(WRITER, replace(REPLICA, binlog_state="1-1-10,1-2-4")), "never had: 1-2-1 to 1-2-4"),
        # The replica was read a moment later and has more of the writer's own: no reason.
        (situation(WRITER, replace(REPLICA, binlog_state="1-1-12")), ""),
        (situation(WRITER, silent=("db-2",)), "db-2 does not answer: connection refused"),
        (situation(WRITER, REPLICA, limit=0), "edge-1 lets no connection in already"),
    ],
)
def test_a_switchover_is_refused_for_each_reason(changed: Situation, reason: str) -> None:
    """Each guard by itself, and nothing against a healthy platform."""
    found = decisions.against_switchover(changed, "db-2")
    assert len(found) == bool(reason)
    assert all(reason in text for text in found)


@pytest.mark.parametrize(
    ("servers", "wanted", "elected", "refused"),
    [
        # All read-only: the one that others follow, whatever the names are.
        ([replace(WRITER, read_only=True), REPLICA], "", "db-1", ""),
        ([replace(WRITER, read_only=True), REPLICA], "db-2", "db-2", ""),
        # Received and not applied counts: it will be applied before the promotion.
        ([replace(WRITER, read_only=True), replace(REPLICA, binlog_state="1-1-7")], "db-2", "db-2", ""),
        # One has more: the other would lose it.
        ([replace(WRITER, read_only=True, binlog_state="1-1-11"), REPLICA], "", "db-1", ""),
        ([replace(WRITER, read_only=True, binlog_state="1-1-11"), REPLICA], "db-2", "", "lacks transactions"),
        ([replace(WRITER, read_only=True, binlog_state="1-1-11"), replace(REPLICA, binlog_state="1-2-9")], "",
         "", "no server has all"),
        ([WRITER, REPLICA], "", "", "still takes writes"),
    ],
)  # fmt: skip
def test_who_is_promoted_where_none_writes(
    servers: list[Server], wanted: str, elected: str, refused: str
) -> None:
    """The server with every received transaction, and nobody while one writes."""
    if elected:
        assert decisions.elect(situation(*servers), wanted).host == elected
        return
    with pytest.raises(PerennialError, match=refused) as caught:
        decisions.elect(situation(*servers), wanted)
    assert caught.value.code is Exit.REFUSED


def test_a_server_that_somebody_still_reaches_is_not_lost() -> None:
    """Contact was lost from here only: a second writer would split the data."""
    with pytest.raises(PerennialError, match="edge-1 still reaches it"):
        decisions.elect(situation(replica(Slave_IO_Running="Connecting"), silent=("db-1",), up="db-1"))
    with pytest.raises(PerennialError, match="db-2 still reaches it"):
        decisions.elect(situation(REPLICA, silent=("db-1",), up=""))
    gone = situation(replica(Slave_IO_Running="Connecting"), silent=("db-1",), up="")
    assert decisions.elect(gone).host == "db-2"


def metrics(**values: str) -> Callable[[str], list[str]]:
    """Return a Prometheus that knows the last scrape of the writer, by words of the question."""

    def query(text: str) -> list[str]:
        """Answer one question."""
        return [f"{{}} {value}" for part, value in values.items() if part in text][:1]

    return query


@pytest.mark.parametrize(
    ("query", "candidate", "semi_sync"),
    [
        (metrics(max_over_time="1e9", master_status="1", clients="1", vector="8"), replica(), "on"),
        (metrics(max_over_time="1e9", master_status="0", clients="1", vector="8"), replica(), "off"),
        (metrics(max_over_time="1e9", master_status="1", clients="0", vector="8"), replica(), "off"),
        (metrics(), replica(), "unknown"),
        (
            metrics(max_over_time="1e9", master_status="1", clients="1", vector="8"),
            replica(Slave_IO_Running="No"),
            "unknown",
        ),
        (
            metrics(max_over_time="1e9", master_status="1", clients="1", vector="8"),
            replace(REPLICA, uptime=3),
            "unknown",
        ),
    ],
)
def test_semi_sync_at_the_loss_is_known_or_said_to_be_unknown(
    query: Callable[[str], list[str]], candidate: Server, semi_sync: str
) -> None:
    """Only `on` needs no confirmation; a restarted or stopped candidate says nothing of that moment."""
    lost = failover.loss(situation(candidate, silent=("db-1",), up=""), candidate, query)
    assert (lost.writer, lost.semi_sync, lost.certain) == ("db-1", semi_sync, semi_sync == "on")


def test_a_prometheus_that_does_not_answer_makes_it_unknown() -> None:
    """The failover goes on, with a confirmation."""

    def away(_text: str) -> list[str]:
        """Fail as LiveMonitoring does."""
        raise PerennialError("Prometheus does not answer")

    lost = failover.loss(situation(replica(), silent=("db-1",), up=""), replica(), away)
    assert lost.semi_sync == "unknown"
    assert failover.loss(situation(WRITER, REPLICA), REPLICA, away).certain, "nothing was lost"


def test_a_failover_promotes_the_replica_and_ends_a_server_that_hangs(tmp_path: Path) -> None:
    """The lost server's unit is killed where it still runs; every edge leads to the new writer."""
    platform, world = fleet_world.platform(tmp_path), World()
    world.away = {"db-1"}
    for edge in world.edges.values():
        edge.up = ""
    view = world.view(platform)
    found, candidate = failover.plan(view)
    runner = MemoryRunner(rules=[lambda _host, line, _stdin: "active\n" if "is-active" in line else None])
    act = failover.Failover(view, found, candidate.host, world.sources(), runner, world.said.append)
    assert set(act.run()) == {"promoted", "led"}
    assert not world.servers["db-2"].read_only
    assert {edge.up for edge in world.edges.values()} == {"db-2"}
    assert runner.lines() == ["db-1: systemctl kill --signal=KILL mariadb.service"]
    assert any("perennial fleet rejoin db-1 --env unit" in line for line in world.said)


def test_an_interrupted_switchover_is_ended_by_a_failover(tmp_path: Path) -> None:
    """Both servers read-only: the one that others follow takes writes again, nobody has to confirm."""
    platform, world = fleet_world.platform(tmp_path), World()
    world.servers["db-1"].read_only = True
    view = world.view(platform)
    with pytest.raises(PerennialError, match="no server that answers takes writes"):
        switchover.plan(view)
    found, candidate = failover.plan(view)
    failover.Failover(view, found, candidate.host, world.sources(), MemoryRunner()).run()
    assert world.writers() == ["db-1"]
    assert world.servers["db-2"].source == "db-1"


def test_a_returned_writer_rejoins_or_its_transactions_are_named() -> None:
    """With the next command, which needs the confirmation by name."""
    new = replace(REPLICA, read_only=False, replica={}, binlog_state="1-1-10,1-2-11")
    back = Server("db-1", 1, read_only=True, binlog_state="1-1-10")
    assert rejoin.plan(situation(new, back), "db-1", "lab").host == "db-2"
    with pytest.raises(PerennialError, match="db-2 never had: 1-1-11 to 1-1-12") as caught:
        rejoin.plan(situation(new, replace(back, binlog_state="1-1-12")), "db-1", "lab")
    assert "perennial fleet rebuild db-1 --env lab --confirm 'lab db-1'" in caught.value.next
    for host, reason in (("db-2", "is the writer"), ("db-9", "no enabled database host")):
        with pytest.raises(PerennialError, match=reason):
            rejoin.plan(situation(new, back), host, "lab")


def test_the_writer_is_never_rebuilt_and_a_lost_replica_is() -> None:
    """Its data is the only one that counts; a server that does not answer may be made anew."""
    with pytest.raises(PerennialError, match="is the writer"):
        rebuild.plan(situation(WRITER, REPLICA), "db-1")
    assert rebuild.plan(situation(WRITER, silent=("db-2",)), "db-2").host == "db-1"
    with pytest.raises(PerennialError, match="no enabled database host"):
        rebuild.plan(situation(WRITER, REPLICA), "mon-1")


def test_the_position_of_a_copy_is_read_and_a_copy_without_one_refused() -> None:
    """File, position and GTIDs; a copy that does not say what it has must not replicate."""
    assert rebuild.copied_position("mariadb-bin.000002\t343\t1-7-10,2-8-3\n") == "1-7-10,2-8-3"
    with pytest.raises(PerennialError) as caught:
        rebuild.copied_position("mariadb-bin.000002\t343\n")
    assert caught.value.code is Exit.INTEGRITY


def test_a_server_that_refuses_a_look_is_silent_with_its_reason(tmp_path: Path) -> None:
    """One bad answer hides no other server."""
    world = World()
    view = world.view(fleet_world.platform(tmp_path))
    world.fault = refuse("db-2", state.REPLICA)
    found = view.situation()
    assert list(found.servers) == ["db-1"]
    assert found.silent == {"db-2": "refused"}
