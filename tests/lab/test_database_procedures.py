# SPDX-License-Identifier: Apache-2.0
"""Switchover, failover, rejoin and rebuild while clients write: what was acknowledged is there, once."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from infra.fleet.database import server, switchover
from infra.fleet.database.state import View
from infra.fleet.exits import Exit
from infra.fleet.health import wait_all
from infra.fleet.remote import SshRunner, must
from infra.fleet.session import sessions
from infra.spec import CHECKOUT
from loadtests import writes
from loadtests.bench.pages import Editor
from tests.lab_session import ENVIRONMENT, make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet
    from loadtests.probe import Target

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]
PERENNIAL = str(CHECKOUT / ".venv" / "bin" / "perennial")
INSERTS_PER_SECOND = 50
COMMENTS_PER_SECOND = 2
MOST_SECONDS = 30


def fleet_command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `perennial fleet …` as a person does who has agreed."""
    command = [PERENNIAL, "fleet", *words, "--env", ENVIRONMENT, "--yes"]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )


def done(*words: str) -> dict[str, Any]:
    """Run a command that must succeed and return what it printed as JSON."""
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


@contextmanager
def inserting(fleet: Fleet) -> Iterator[tuple[writes.Writer, writes.Account, int]]:
    """Insert rows for the block; give the writer, the account and the forwarded port."""
    account = writes.account(fleet)
    with writes.forwarded(fleet) as port, writes.table(account, port):
        writer = writes.Writer(writes.insert(account, port), INSERTS_PER_SECOND)
        with writer:
            time.sleep(2)
            yield writer, account, port


@contextmanager
def commenting(fleet: Fleet, site: Target) -> Iterator[tuple[writes.Writer, writes.Commenter]]:
    """Comment through the site for the block."""
    editor = Editor(fleet)
    words = ("user", "application-password", "create", "wordpress-admin", "switchover", "--porcelain")
    password = editor.wpctl(*words)
    with editor.post("text", "Commented") as post:
        commenter = writes.Commenter(fleet, site, "wordpress-admin", password, int(post.id))
        writer = writes.Writer(commenter.write, COMMENTS_PER_SECOND, workers=20)
        with writer:
            yield writer, commenter


def test_a_switchover_and_back_loses_doubles_and_fails_nothing(fleet: Fleet, site: Target) -> None:
    """Under inserts with a TLS connection each, and comments through the site."""
    with ExitStack() as stack:
        inserts, account, port = stack.enter_context(inserting(fleet))
        comments, commenter = stack.enter_context(commenting(fleet, site))
        for to in ("db-2", "db-1"):
            assert done("switchover", "--to", to)["writer"] == to
            time.sleep(2)
        for writer in (inserts, comments):
            writer.stop()
        assert not inserts.ledger.failed, inserts.ledger.summary()
        assert not comments.ledger.failed, comments.ledger.summary()
        assert writes.audit(inserts.ledger, writes.stored(account, port)).holds
        assert writes.audit(comments.ledger, commenter.stored(account, port)).holds
        # A ledger with a row that the table lacks is noticed.
        on(fleet, "db-1", f"mariadb {account.user} -e 'DELETE FROM {writes.TABLE} LIMIT 1'")
        assert len(writes.audit(inserts.ledger, writes.stored(account, port)).lost) == 1
    print(f"longest time without an insert {writes.longest_gap(inserts.ledger):.3f} s")


def test_without_the_hold_requests_fail(fleet: Fleet) -> None:
    """The control of the test above: the same act without waiting clients is seen."""
    with inserting(fleet) as (inserts, _, _), sessions(fleet) as opened:
        view = View(fleet.platform, opened).open()
        situation, candidate = switchover.plan(view)
        sources = {h.name: server.source_of(fleet, h) for h in fleet.platform.with_role("database")}
        switchover.Switchover(view, situation, candidate, sources, hold=False).run()
        time.sleep(1)
    assert inserts.ledger.failed


def test_a_failover_loses_nothing_that_was_acknowledged(fleet: Fleet) -> None:
    """The writer is masked and killed under load; the returned one rejoins, or is made anew."""
    time.sleep(12)  # Prometheus has seen the writer wait for its replica
    with inserting(fleet) as (inserts, account, port):
        begin = inserts.now()
        on(fleet, "db-1", "systemctl mask mariadb && systemctl kill -s KILL mariadb")
        found = done("failover")
        took = inserts.now() - begin
        assert (found["writer"], found["semi_sync"]) == ("db-2", "on")
        time.sleep(2)
        inserts.stop()
        back = min(a.done for a in inserts.ledger.acknowledged if a.done > begin + 1)
        assert took < MOST_SECONDS
        assert back < begin + MOST_SECONDS
        assert writes.audit(inserts.ledger, writes.stored(account, port)).holds
    print(f"writes came back {back - begin:.1f} s after the kill, the command took {took:.1f} s")
    returned(fleet)
    assert make("converge", "--tags", "database").stdout.count("0 changed on")


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
    with inserting(fleet) as (inserts, account, port):
        on(fleet, "db-2", "systemctl mask mariadb && systemctl kill -s KILL mariadb")
        time.sleep(5)  # longer than a commit waits for a replica
        on(fleet, "db-1", "systemctl mask mariadb && systemctl kill -s KILL mariadb")
        inserts.stop()
        on(fleet, "db-2", "systemctl unmask mariadb && systemctl start mariadb")
        refused = fleet_command("failover")
        assert refused.returncode == Exit.REFUSED, refused.stderr
        assert "acknowledged writes may be lost" in refused.stderr
        assert writers(fleet) == []
        done("failover", "--confirm", f"{ENVIRONMENT} db-2")
        lost = writes.audit(inserts.ledger, writes.stored(account, port)).lost
        assert lost, "the drill shows a loss, or it shows nothing"
        print(f"{len(lost)} of {len(inserts.ledger.acknowledged)} acknowledged rows were lost")
    on(fleet, "db-1", "systemctl unmask mariadb && systemctl start mariadb")
    rejoin = fleet_command("rejoin", "db-1")
    assert rejoin.returncode == Exit.REFUSED, "it has rows that the new writer never had"
    assert "perennial fleet rebuild db-1" in rejoin.stderr
    done("rebuild", "db-1", "--confirm", f"{ENVIRONMENT} db-1")
