# SPDX-License-Identifier: Apache-2.0
"""The writer goes on serving while its only replica is cut off, and when it returns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from infra.fleet.remote import SshRunner
from tests.lab.acts import cut
from tests.lab_session import remote

if TYPE_CHECKING:
    from infra.inventory import Fleet

pytestmark = pytest.mark.lab
CUT_SECONDS = 90  # shorter cuts did not bring the deadlock about on the lab
WATCH_SECONDS = 20
LOGIN_SECONDS = 3
HANG_SECONDS = 10.0  # the guard looks every second and acts on what has lasted 3; a page may take 20
LOGIN = ["timeout", str(LOGIN_SECONDS), "mariadb", "--skip-column-names", "--batch", "--execute"]
SEMI_SYNC = "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_status'"
CLIENTS = "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_clients'"


def roles(fleet: Fleet) -> tuple[str, str]:
    """Return the names of the writer and of one replica."""
    names = [host.name for host in fleet.platform.with_role("database", enabled_only=True)]
    writes = {
        name: "0"
        in remote(fleet, name).check_output(
            "mariadb --skip-column-names --batch --execute 'SELECT @@global.read_only'"
        )
        for name in names
    }
    return next(one for one in names if writes[one]), next(one for one in names if not writes[one])


def test_a_replica_that_was_cut_off_returns_and_nobody_waits_for_it(fleet: Fleet) -> None:
    """MariaDB 11.8 then lets nobody log in, or gives the replica nothing (semi_sync_guard.py).

    Without the guard and the limit on retransmissions logins hung for 15 s, and replication until a restart.
    """
    writer, replica = roles(fleet)
    runner = SshRunner(fleet)
    with cut(fleet, replica, "mariadb"):
        time.sleep(CUT_SECONDS)
    answers = []
    healed = answered = time.monotonic()
    longest = 0.0
    while time.monotonic() - healed < WATCH_SECONDS:
        answers.append(runner.run(writer, [*LOGIN, SEMI_SYNC], safe=True))
        if answers[-1].ok:
            longest, answered = max(longest, time.monotonic() - answered), time.monotonic()
        time.sleep(0.5)
    assert longest <= HANG_SECONDS, [(one.returncode, one.stderr) for one in answers]
    assert answers[-1].stdout.split() == ["Rpl_semi_sync_master_status", "ON"], answers[-1].stdout
    clients = runner.run(writer, [*LOGIN, CLIENTS], safe=True)
    assert clients.stdout.split() == ["Rpl_semi_sync_master_clients", "1"], clients.stdout
