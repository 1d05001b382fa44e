# SPDX-License-Identifier: Apache-2.0
"""Rolling changes on a running lab: visitors notice nothing, a host that fails stays out of service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from infra.fleet import health, pool, rolling
from infra.fleet.engine import Procedure
from infra.fleet.exits import PerennialError
from infra.fleet.remote import SshRunner, must
from loadtests.probe import Probe, Target

if TYPE_CHECKING:
    from infra.inventory import Fleet

pytestmark = pytest.mark.lab
MARK = f"{rolling.MARKS}/php8.4-fpm.service"


def started(runner: SshRunner, host: str, unit: str) -> str:
    """Return when a unit was last started, by the host's own monotonic clock in microseconds."""
    show = ["systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", unit]
    return must(runner.run(host, show, safe=True), "reading the unit").stdout.strip()


@pytest.mark.timeout(300)
def test_marked_units_restart_without_a_failed_request(fleet: Fleet, site: Target) -> None:
    """PHP restarted under traffic fails what it is working on, unless the host was drained before."""
    runner = SshRunner(fleet, dry_run=False)
    hosts = [host.name for host in fleet.platform.with_role("app", enabled_only=True)]
    before = {host: started(runner, host, "php8.4-fpm") for host in hosts}
    for host in hosts:
        must(runner.run(host, ["touch", MARK]), "marking")
    uncached = Target(site.address, site.domain, site.ca_file, "/?s=rolling")
    with Probe(uncached, rate=10, timeout=20) as probe:
        time.sleep(2)
        reports = rolling.restart_needed(fleet, dry_run=False)
        time.sleep(2)
    assert [host for report in reports for host in report.done] == hosts
    assert not probe.ledger.failed, probe.ledger.summary()
    assert {host: started(runner, host, "php8.4-fpm") for host in hosts}.keys() == before.keys()
    assert all(started(runner, host, "php8.4-fpm") != before[host] for host in hosts)
    assert rolling.marked(fleet.platform, runner) == {}


@pytest.mark.timeout(300)
def test_a_dry_run_names_the_restarts_and_makes_none(fleet: Fleet) -> None:
    """The default of the library, on real hosts."""
    runner = SshRunner(fleet, dry_run=False)
    host = fleet.platform.with_role("app", enabled_only=True)[0].name
    before = started(runner, host, "php8.4-fpm")
    must(runner.run(host, ["touch", MARK]), "marking")
    told: list[str] = []
    try:
        rolling.restart_needed(fleet, say=told.append)
        assert told == [f"would restart php8.4-fpm.service on {host}"]
        assert started(runner, host, "php8.4-fpm") == before
        assert rolling.marked(fleet.platform, runner) == {host: ("php8.4-fpm.service",)}
    finally:
        must(runner.run(host, ["rm", "-f", MARK]), "unmarking")


@pytest.mark.timeout(300)
def test_a_host_that_does_not_come_back_stays_drained(fleet: Fleet, site: Target) -> None:
    """A configuration that PHP refuses must cost one host, not the site."""
    runner = SshRunner(fleet, dry_run=False)
    victim = fleet.platform.with_role("app", enabled_only=True)[0].name
    broken = "/etc/systemd/system/php8.4-fpm.service.d/zz-lab-test.conf"
    script = f"printf '[Service]\\nExecStartPre=/bin/false\\n' >{broken} && systemctl daemon-reload"
    must(runner.run(victim, ["sh", "-c", f"mkdir -p {broken.rpartition('/')[0]} && {script}"]), "breaking")
    procedure = Procedure("lab-test", "app", "restart", ("php8.4-fpm",), only=(victim,), health_seconds=5)
    members = pool.Pool(fleet.platform, runner)
    try:
        with Probe(site, rate=20) as probe:
            time.sleep(1)
            with pytest.raises(PerennialError):
                rolling.roll(fleet, procedure, dry_run=False)
            time.sleep(2)
        assert not probe.ledger.failed, probe.ledger.summary()
        assert not any(member.serving for member in members.of(victim)), members.of(victim)
    finally:
        heal = f"rm -f {broken} && systemctl daemon-reload && systemctl reset-failed php8.4-fpm"
        must(runner.run(victim, ["sh", "-c", f"{heal} && systemctl restart php8.4-fpm"]), "healing")
    health.Health(fleet.platform, runner).require([fleet.platform.hosts[victim]], 60)
    deadline = time.monotonic() + 30  # HAProxy says DOWN of a drained member until its checks pass again
    while not all(member.drained for member in members.of(victim)):
        assert time.monotonic() < deadline, members.of(victim)
        time.sleep(0.5)
    pool.undrain(fleet, victim, dry_run=False)


@pytest.mark.timeout(300)
def test_an_edge_restart_moves_the_address_first(fleet: Fleet, site: Target) -> None:
    """HAProxy restarted under the address would refuse everybody for as long as it takes."""
    procedure = Procedure("lab-test-edge", "edge", "restart", ("haproxy",))
    with Probe(site, rate=50) as probe:
        time.sleep(2)
        report = rolling.roll(fleet, procedure, dry_run=False)
        time.sleep(3)
    assert len(report.done) == len(fleet.platform.with_role("edge", enabled_only=True))
    assert probe.ledger.longest_silence() <= 1.0, probe.ledger.summary()


def test_the_writer_is_left_and_reported(fleet: Fleet) -> None:
    """Moving the writer is a switchover of its own, never a side effect of `make up`."""
    told: list[str] = []
    procedure = Procedure("lab-test-db", "database", "restart", ("mariadb",))
    report = rolling.roll(fleet, procedure, say=told.append)
    (why,) = report.left.values()
    assert why.startswith("switchover needed, it is the writer: perennial fleet switchover --env ")


def test_every_host_is_healthy(fleet: Fleet) -> None:
    """What `make up` ends with holds afterwards too, and holds after the tests above."""
    health.wait_all(fleet, seconds=60)
