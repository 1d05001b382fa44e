# SPDX-License-Identifier: Apache-2.0
"""Switchover, failover, rejoin and rebuild while clients write: what was acknowledged is there, once."""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from infra.fleet.database import server, switchover
from infra.fleet.database.state import Situation, View
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.health import wait_all
from infra.fleet.remote import SshRunner, must
from infra.fleet.session import sessions
from infra.spec import CHECKOUT
from loadtests.write_load import commenting, inserting
from loadtests.writes import longest_gap
from tests.lab_session import ENVIRONMENT, make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]
PERENNIAL = str(CHECKOUT / ".venv" / "bin" / "perennial")
MOST_SECONDS = 30
PATIENCE_SECONDS = 45
INSERTS_PER_SECOND = 20  # `make bench AREA=database` writes 50
# So many that the time without a writer, some 40 ms on a quiet machine, meets several.
INSERTS_OF_THE_CONTROL = 100


def fleet_command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `perennial fleet …` as a person does who has agreed."""
    command = [PERENNIAL, "fleet", *words, "--env", ENVIRONMENT, "--yes"]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )


def done(*words: str) -> dict[str, Any]:
    """Run a command that must succeed and return what it printed as JSON.

    A switchover that a guard refuses (a machine under load lets a replica fall behind) is tried again.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    result = fleet_command(*words, "--json")
    while words[0] == "switchover" and result.returncode == Exit.REFUSED and time.monotonic() < until:
        time.sleep(2)
        result = fleet_command(*words, "--json")
    assert result.returncode == Exit.DONE, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def on(fleet: Fleet, host: str, script: str) -> str:
    """Run a shell text on a host and return what it printed."""
    return must(SshRunner(fleet, dry_run=False).run(host, ["bash", "-c", script]), script[:60]).stdout.strip()


def writers(fleet: Fleet) -> list[str]:
    """Return who takes writes."""
    with sessions(fleet) as opened:
        return [one.host for one in View(fleet.platform, opened).open().situation().writers]


@pytest.fixture(autouse=True)
def as_before(fleet: Fleet) -> Iterator[None]:
    """Begin with db-1 as the writer and leave it so, all hosts healthy."""
    first = fleet.platform.with_role("database")[0].name
    if writers(fleet) != [first]:
        done("switchover", "--to", first)
    yield
    if writers(fleet) != [first]:
        done("switchover", "--to", first)
    wait_all(fleet)


def patiently(view: View) -> tuple[Situation, str]:
    """Return a plan as soon as no guard refuses it."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return switchover.plan(view)
        except PerennialError:
            if time.monotonic() > until:
                raise


def test_a_switchover_and_back_loses_doubles_and_fails_nothing(fleet: Fleet) -> None:
    """Under inserts with a TLS connection each, and comments through the site."""
    with inserting(fleet, INSERTS_PER_SECOND) as inserts, commenting(fleet) as comments:
        for to in ("db-2", "db-1"):
            assert done("switchover", "--to", to)["writer"] == to
            time.sleep(2)
        for writer in (inserts.writer, comments.writer):
            writer.stop()
            assert not writer.ledger.failed, writer.ledger.summary()
        assert inserts.audit().holds
        assert comments.audit(inserts).holds
        # A ledger with a row that the table lacks is noticed.
        delete = "DELETE FROM perennial_ledger LIMIT 1"
        on(fleet, "db-1", f"mariadb {inserts.account.user} -e '{delete}'")
        assert len(inserts.audit().lost) == 1
    print(f"longest time without an insert {longest_gap(inserts.writer.ledger):.3f} s")


def test_without_the_hold_requests_fail(fleet: Fleet) -> None:
    """The control of the test above: the same act without waiting clients is seen."""
    with inserting(fleet, INSERTS_OF_THE_CONTROL) as inserts, sessions(fleet) as opened:
        view = View(fleet.platform, opened).open()
        situation, candidate = patiently(view)
        sources = {h.name: server.source_of(fleet, h) for h in fleet.platform.with_role("database")}
        switchover.Switchover(view, situation, candidate, sources, hold=False).run()
        time.sleep(1)
    assert inserts.writer.ledger.failed


def test_a_failover_loses_nothing_that_was_acknowledged(fleet: Fleet) -> None:
    """The writer is masked and killed under load; the returned one rejoins, or is made anew."""
    time.sleep(12)  # Prometheus has seen the writer wait for its replica
    with inserting(fleet, INSERTS_PER_SECOND) as inserts:
        begin = inserts.writer.now()
        on(fleet, "db-1", "systemctl mask mariadb && systemctl kill -s KILL mariadb")
        found = done("failover")
        took = inserts.writer.now() - begin
        assert (found["writer"], found["semi_sync"]) == ("db-2", "on")
        time.sleep(2)
        inserts.writer.stop()
        back = min(a.done for a in inserts.writer.ledger.acknowledged if a.done > begin + 1)
        assert took < MOST_SECONDS
        assert back < begin + MOST_SECONDS
        assert inserts.audit().holds
    print(f"writes came back {back - begin:.1f} s after the kill, the command took {took:.1f} s")
    returned(fleet)
    converged = make("converge", "--tags", "database").stdout
    assert re.search(r"^ +0 changed on", converged, re.MULTILINE), converged[-3000:]


def returned(fleet: Fleet) -> None:
    """Bring db-1 back; it starts read-only, and a commit that nobody acknowledged forbids to rejoin."""
    on(fleet, "db-1", "systemctl unmask mariadb && systemctl start mariadb")
    assert on(fleet, "db-1", "mariadb -NBe 'SELECT @@read_only'") == "1"
    assert writers(fleet) == ["db-2"]
    result = fleet_command("rejoin", "db-1")
    if result.returncode == Exit.REFUSED:
        assert "transactions that the writer db-2 never had: 1-" in result.stderr
        done("rebuild", "db-1", "--confirm", f"{ENVIRONMENT} db-1")
    else:
        assert result.returncode == Exit.DONE, result.stderr


def test_without_semi_sync_what_is_lost_is_counted_and_a_person_is_asked(fleet: Fleet) -> None:
    """The replica is killed, then the writer: acknowledged rows are missing, and the command had asked."""
    with inserting(fleet, INSERTS_PER_SECOND) as inserts:
        on(fleet, "db-2", "systemctl mask mariadb && systemctl kill -s KILL mariadb")
        time.sleep(5)  # longer than a commit waits for a replica
        on(fleet, "db-1", "systemctl mask mariadb && systemctl kill -s KILL mariadb")
        inserts.writer.stop()
        on(fleet, "db-2", "systemctl unmask mariadb && systemctl start mariadb")
        refused = fleet_command("failover")
        assert refused.returncode == Exit.REFUSED, refused.stderr
        assert "acknowledged writes may be lost" in refused.stderr
        assert writers(fleet) == []
        done("failover", "--confirm", f"{ENVIRONMENT} db-2")
        lost = inserts.audit().lost
        assert lost, "the drill shows a loss, or it shows nothing"
        print(f"{len(lost)} of {len(inserts.writer.ledger.acknowledged)} acknowledged rows were lost")
    on(fleet, "db-1", "systemctl unmask mariadb && systemctl start mariadb")
    rejoin = fleet_command("rejoin", "db-1")
    assert rejoin.returncode == Exit.REFUSED, "it has rows that the new writer never had"
    assert "perennial fleet rebuild db-1" in rejoin.stderr
    done("rebuild", "db-1", "--confirm", f"{ENVIRONMENT} db-1")
