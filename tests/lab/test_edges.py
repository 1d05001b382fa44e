# SPDX-License-Identifier: Apache-2.0
"""Visitors keep being served while edges and application hosts come and go."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from infra.fleet import pool
from loadtests.probe import Probe, Target
from tests.lab.acts import lose, vip_owner
from tests.lab_session import make

if TYPE_CHECKING:
    from infra.inventory import Fleet

pytestmark = pytest.mark.lab
UNCACHED_SILENCE_SECONDS = 5.0  # far below the 30 s after which PHP gives a dead connection up


def test_draining_an_application_host_fails_no_request(fleet: Fleet, site: Target) -> None:
    """A drain lets requests under way finish and sends new ones elsewhere."""
    uncached = Target(site.address, site.domain, site.ca_file, "/?s=drain")
    host = fleet.platform.with_role("app")[0].name
    with Probe(uncached, rate=10, timeout=20) as probe:
        time.sleep(2)
        pool.drain(fleet, host, dry_run=False)
        time.sleep(4)
        pool.undrain(fleet, host, dry_run=False)
        time.sleep(4)
    assert not probe.ledger.failed, probe.ledger.summary()
    assert len(probe.ledger.acknowledged) >= 80, probe.ledger.summary()


@pytest.mark.timeout(420)
def test_losing_the_edge_that_holds_the_address_costs_at_most_one_second(fleet: Fleet, site: Target) -> None:
    """The address moves by VRRP; the next `make up` brings the lost edge back.

    Pages that need the database too: the kept connections of all PHP workers went through the lost edge.
    """
    uncached = Target(site.address, site.domain, site.ca_file, "/?s=loss")
    edges = [host.name for host in fleet.platform.with_role("edge")]
    owner = vip_owner(fleet, edges)
    with Probe(site, rate=50) as probe, Probe(uncached, rate=5, timeout=20) as searches:
        time.sleep(3)
        lose(fleet, owner)
        time.sleep(8)
    assert probe.ledger.longest_silence() <= 1.0, probe.ledger.summary()
    assert searches.ledger.longest_silence() <= UNCACHED_SILENCE_SECONDS, searches.ledger.summary()
    assert vip_owner(fleet, [name for name in edges if name != owner]) != owner
    healed = make("up", "--yes")
    assert healed.returncode == 0, healed.stdout[-6000:]
