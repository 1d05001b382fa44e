# SPDX-License-Identifier: Apache-2.0
"""The end of `make up`: what roles marked is restarted, and the marks are the memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.fleet import rolling
from infra.fleet.exits import PerennialError
from infra.fleet.lock import NullLock
from tests.unit.fleet_world import World, changes, fleet


@pytest.fixture(autouse=True)
def _no_alertmanager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silences have tests of their own."""
    monkeypatch.setattr("infra.fleet.rolling.Silences.of", lambda _: None)


def test_marked_units_are_restarted_by_tier_and_their_marks_cleared(tmp_path: Path) -> None:
    """This is how `make up` ends; an unmarked host is not touched."""
    world = World()
    changed: list[str] = []
    world.marks = {"app-2": ["php8.4-fpm", "nginx"], "db-2": ["mariadb.service"], "mon-1": ["prometheus"]}
    reports = rolling.restart_needed(
        fleet(tmp_path), runner=world.runner, lock=NullLock(), say=lambda _: None, changed=changed.append
    )
    assert [(report.procedure, report.done) for report in reports] == [
        ("restart-needed-database", ["db-2"]),
        ("restart-needed-app", ["app-2"]),
        ("restart-needed-base", ["mon-1"]),
    ]
    assert changed == ["db-2", "app-2", "mon-1"]
    assert not any(world.marks.values())
    assert "app-2: systemctl restart nginx.service php8.4-fpm.service" in changes(world)


def test_a_unit_that_was_not_restarted_keeps_its_mark(tmp_path: Path) -> None:
    """The mark is the memory: the next run must find it."""
    world = World()
    world.marks = {"db-1": ["mariadb"]}
    (report,) = rolling.restart_needed(
        fleet(tmp_path), runner=world.runner, lock=NullLock(), say=lambda _: None
    )
    assert report.left
    assert world.marks == {"db-1": ["mariadb"]}


def test_restarts_are_a_dry_run_unless_asked_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default of a library must be the harmless one."""
    world = World()
    told: list[str] = []

    def runner(_: object, *, dry_run: bool) -> object:
        world.runner.dry_run = dry_run
        return world.runner

    monkeypatch.setattr("infra.fleet.rolling.SshRunner", runner)
    world.marks = {"app-2": ["nginx"]}
    rolling.restart_needed(fleet(tmp_path), say=told.append)
    assert changes(world) == []
    assert told == ["would restart nginx on app-2"]


def test_a_strange_mark_is_refused(tmp_path: Path) -> None:
    """The name of a mark becomes an argument of a command run as root."""
    world = World()
    world.marks = {"app-2": ["--now", "x;reboot"]}
    with pytest.raises(PerennialError, match="strange mark"):
        rolling.restart_needed(fleet(tmp_path), runner=world.runner)
