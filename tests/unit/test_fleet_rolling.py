# SPDX-License-Identifier: Apache-2.0
"""The rolling engine's promises, on a fleet in memory that answers as the real one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.fleet import pool
from infra.fleet.engine import Procedure, Rolling
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.lock import NullLock
from infra.fleet.progress import Progress
from infra.fleet.tiers import EdgeTier
from tests.unit.fleet_world import World, changes, platform

PHP = Procedure("restart-php", "app", "restart", ("php8.4-fpm",), health_seconds=0.1)


def engine(world: World, directory: Path, told: list[str] | None = None) -> Rolling:
    """Return an engine over the world, its words collected in `told`."""
    said = told if told is not None else []
    return Rolling(
        platform(directory),
        world.runner,
        progress=Progress(directory / "p"),
        precheck_seconds=0.1,
        say=said.append,
    )


def test_each_host_is_drained_on_both_edges_before_it_is_restarted_and_put_back_after(tmp_path: Path) -> None:
    """This order is the whole point: one edge that still sends requests is enough to fail them."""
    world = World()
    report = engine(world, tmp_path).run(PHP)
    assert report.done == ["app-1", "app-2"]
    assert changes(world) == [
        line
        for app in ("app-1", "app-2")
        for line in (
            f"edge-1: haproxyctl drain {app}",
            f"edge-2: haproxyctl drain {app}",
            f"{app}: systemctl restart php8.4-fpm.service",
            f"edge-1: haproxyctl ready {app}",
            f"edge-2: haproxyctl ready {app}",
        )
    ]


def test_a_dry_run_names_every_host_and_changes_nothing(tmp_path: Path) -> None:
    """The plan that people agree to comes from the same code as the act."""
    world = World()
    told: list[str] = []
    world.runner.dry_run = True
    report = engine(world, tmp_path, told).run(PHP)
    assert changes(world) == []
    assert report.done == []
    assert [line for line in told if line.startswith("would restart")] == [
        "would restart php8.4-fpm on app-1",
        "would restart php8.4-fpm on app-2",
    ]


def test_a_host_that_fails_stays_drained_and_stops_the_run(tmp_path: Path) -> None:
    """A bad change on the first host must not reach the second, and nobody may be sent to the broken one."""
    world = World()
    told: list[str] = []
    world.failing_restarts = {"app-1"}
    with pytest.raises(PerennialError, match="app-1: systemctl restart"):
        engine(world, tmp_path, told).run(PHP)
    assert {states["app-1"] for states in world.state.values()} == {"DRAIN"}
    assert {states["app-2"] for states in world.state.values()} == {"UP"}
    assert any("app-1 stays DRAINED" in text for text in told)
    assert any("perennial fleet undrain app-1 --env unit" in text for text in told)
    assert not world.runner.lines("app-2")


def test_a_host_that_restarts_but_does_not_serve_stays_drained(tmp_path: Path) -> None:
    """Systemctl's word is not enough: the health page is asked before anybody is sent there."""
    world = World()
    world.breaks_on_restart = {"app-1"}
    with pytest.raises(PerennialError, match=r"php8\.4-fpm is failed"):
        engine(world, tmp_path).run(PHP)
    assert {states["app-1"] for states in world.state.values()} == {"DRAIN"}
    assert Progress(tmp_path / "p").done(PHP.name) == set()


def test_a_stopped_run_goes_on_with_the_hosts_it_has_not_finished(tmp_path: Path) -> None:
    """Doing the finished ones again would disturb visitors for nothing."""
    world = World()
    world.failing_restarts = {"app-2"}
    with pytest.raises(PerennialError):
        engine(world, tmp_path).run(PHP)
    world.failing_restarts = set()
    world.runner.commands.clear()
    report = engine(world, tmp_path).run(PHP)
    assert report.done == ["app-2"]
    assert not world.runner.lines("app-1")
    assert Progress(tmp_path / "p").done(PHP.name) == set(), "a finished procedure begins anew next time"


def test_nothing_is_drained_while_another_member_is_ill(tmp_path: Path) -> None:
    """The last healthy member would be the one taken out."""
    world = World()
    world.down = {("app-2", "page")}
    engine_ = engine(world, tmp_path)
    with pytest.raises(PerennialError, match="app-2: health page"):
        engine_.run(PHP)
    assert changes(world) == []


def test_the_budget_is_asked_of_each_edge(tmp_path: Path) -> None:
    """An edge that has marked a member down by itself counts what is left by its own view."""
    world = World()
    world.state["edge-2"]["app-2"] = "DOWN"
    with pytest.raises(PerennialError, match="edge-2: draining app-1 would leave 0 of 2") as failure:
        pool.Pool(platform(tmp_path), world.runner).drain("app-1")
    assert failure.value.code is Exit.REFUSED
    assert changes(world) == []


def test_a_member_left_drained_by_an_earlier_run_is_worked_on_first(tmp_path: Path) -> None:
    """With it still out, the budget forbids to take out any other: the run could never go on."""
    world = World()
    for states in world.state.values():
        states["app-2"] = "DRAIN"
    report = engine(world, tmp_path).run(PHP)
    assert report.done == ["app-2", "app-1"]


def test_a_drain_waits_for_requests_under_way_and_gives_up_in_time(tmp_path: Path) -> None:
    """A request that never ends must not be cut silently, and must not hold the run for ever."""
    world = World()
    world.sessions = {"app-1": 3}
    members = pool.Pool(platform(tmp_path), world.runner, drain_seconds=0.5)
    with pytest.raises(PerennialError, match=r"not within 0\.5 s: 3 requests under way"):
        members.drain("app-1")


def test_a_host_that_is_no_member_is_refused(tmp_path: Path) -> None:
    """HAProxy answers an unknown server with a line of text, not with an error."""
    with pytest.raises(PerennialError, match="db-1 is not in the pool"):
        pool.Pool(platform(tmp_path), World().runner).drain("db-1")


def test_an_edge_gives_up_the_address_before_its_restart(tmp_path: Path) -> None:
    """HAProxy restarted under the address refuses connections for as long as it takes."""
    world = World()
    haproxy = Procedure("restart-haproxy", "edge", "restart", ("haproxy",), health_seconds=0.1)
    report = engine(world, tmp_path).run(haproxy)
    assert report.done == ["edge-2", "edge-1"], "the holder last: the address moves once for it"
    lines = changes(world)
    stop, act = (
        lines.index("edge-1: systemctl stop keepalived.service"),
        lines.index("edge-1: systemctl restart haproxy.service"),
    )
    assert stop < act < lines.index("edge-1: systemctl start keepalived.service")
    assert world.address == "edge-2"


def test_an_edge_keeps_the_address_when_no_other_can_take_it(tmp_path: Path) -> None:
    """Better a marked restart than no edge at all."""
    world = World()
    world.down = {("edge-2", "haproxy")}
    with pytest.raises(PerennialError, match="edge-2: haproxy is failed"):
        engine(world, tmp_path).run(Procedure("r", "edge", "restart", ("varnish",), only=("edge-1",)))
    assert changes(world) == []


def test_the_address_is_taken_back_when_no_other_edge_takes_it(tmp_path: Path) -> None:
    """A peer can look healthy and still not take over; the site must not be left without an address."""
    world = World()
    world.runner.rules.insert(0, lambda _, line, __: "2: host0 inet" if line.startswith("ip ") else None)
    told: list[str] = []
    edges = EdgeTier(platform(tmp_path), world.runner, told.append, leaves_seconds=0.3)
    with pytest.raises(PerennialError, match="no other edge has taken"), edges.out("edge-1"):
        pytest.fail("worked on an edge that nobody stands in for")
    assert changes(world) == [
        "edge-1: systemctl stop keepalived.service",
        "edge-1: systemctl start keepalived.service",
    ]
    assert told == ["edge-1: keepalived runs again, no other edge took the virtual address"]


def test_the_writer_is_never_restarted_and_the_report_says_switchover_needed(tmp_path: Path) -> None:
    """Who writes is live state; moving it is an act of its own."""
    world = World()
    report = engine(world, tmp_path).run(Procedure("r", "database", "restart", ("mariadb",)))
    assert report.done == ["db-2"]
    assert report.left == {
        "db-1": "switchover needed, it is the writer: perennial fleet switchover --env unit, then again"
    }
    assert report.outcome is Exit.PARTIAL


def test_a_database_that_does_not_answer_counts_as_the_writer(tmp_path: Path) -> None:
    """Not knowing is no reason to restart it."""
    world = World()
    world.runner.rules.insert(
        0, lambda host, line, _: 1 if host == "db-2" and "mariadb" in line[:8] else None
    )
    report = engine(world, tmp_path).run(Procedure("r", "database", "restart", ("mariadb",)))
    assert set(report.left) == {"db-1", "db-2"}
    assert changes(world) == []


def test_a_reload_drains_nobody(tmp_path: Path) -> None:
    """A graceful reload keeps connections by itself; draining for it would only cost capacity."""
    world = World()
    engine(world, tmp_path).run(Procedure("r", "app", "reload", ("nginx",), health_seconds=0.1))
    assert changes(world) == [
        "app-1: systemctl reload nginx.service",
        "app-2: systemctl reload nginx.service",
    ]


def test_a_lost_lock_stops_before_the_next_batch(tmp_path: Path) -> None:
    """Somebody else is at work on the same hosts by then."""
    world = World()

    class Lost(NullLock):
        def check(self) -> None:
            if world.runner.lines():
                raise PerennialError("lost", code=Exit.LOCKED)

    rolling_ = engine(world, tmp_path)
    rolling_.lock = Lost()
    with pytest.raises(PerennialError, match="lost"):
        rolling_.run(PHP)
    assert not world.runner.lines("app-2")


def test_a_batch_larger_than_the_budget_is_left_and_reported(tmp_path: Path) -> None:
    """Two of two at once is an outage, whoever asked for it."""
    world = World()
    both = Procedure("r", "app", "restart", ("nginx",), batch=2)
    report = engine(world, tmp_path).run(both)
    assert set(report.left) == {"app-1", "app-2"}
    assert changes(world) == []


def test_a_procedure_that_means_no_host_is_an_error(tmp_path: Path) -> None:
    """A mistyped host must not end as success."""
    with pytest.raises(PerennialError, match="means no host"):
        engine(World(), tmp_path).run(Procedure("r", "app", "restart", ("nginx",), only=("app-9",)))
