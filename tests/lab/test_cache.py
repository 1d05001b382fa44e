# SPDX-License-Identifier: Apache-2.0
"""The page cache is right first: what was taken back is gone everywhere (content.update)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.lab.acts import Visitor, cut, editor, vip_owner

if TYPE_CHECKING:
    from infra.inventory import Fleet
    from loadtests.probe import Target

pytestmark = pytest.mark.lab
SAMPLES, MOST_SECONDS = 12, 10.0


def visitors(fleet: Fleet, site: Target) -> dict[str, Visitor]:
    """Return one visitor for each edge."""
    return {host.name: Visitor(site, host.address) for host in fleet.platform.with_role("edge")}


@pytest.mark.timeout(300)
def test_unpublished_posts_are_gone_on_every_edge_within_ten_seconds(fleet: Fleet, site: Target) -> None:
    """Waiting for a lifetime to end is no takedown; each sample was a hit on both edges before."""
    by, readers, seconds = editor(fleet), visitors(fleet, site), []
    for number in range(SAMPLES):
        post, path = by.publish(f"takedown {number} {time.time_ns()}")
        for reader in readers.values():
            reader.warm(path)
        by.unpublish(post)
        seconds += [reader.gone_after(path, MOST_SECONDS) for reader in readers.values()]
        by.delete(post)
    assert max(seconds) <= MOST_SECONDS, sorted(seconds)


def test_a_published_change_shows_on_every_edge(fleet: Fleet, site: Target) -> None:
    """An update bans by tag: the front page and the post itself, not the whole cache."""
    by, readers = editor(fleet), visitors(fleet, site)
    post, path = by.publish(f"before {time.time_ns()}")
    for reader in readers.values():
        assert "after the edit" not in reader.get(path).text
    by.wpctl("post", "update", str(post), "--post_content=after the edit")
    deadline = time.monotonic() + MOST_SECONDS
    waiting = set(readers)
    while waiting and time.monotonic() < deadline:
        waiting = {name for name in waiting if "after the edit" not in readers[name].get(path).text}
    by.delete(post)
    assert not waiting, f"still the old text on {waiting}"


@pytest.mark.timeout(240)
def test_an_edge_that_cannot_be_told_serves_nothing_stale(fleet: Fleet, site: Target) -> None:
    """Cut the edge off, unpublish, heal: it leaves the address, and never answers 200."""
    by = editor(fleet)
    edges = [host.name for host in fleet.platform.with_role("edge")]
    owner = vip_owner(fleet, edges)
    readers = visitors(fleet, site)
    post, path = by.publish(f"cut {time.time_ns()}")
    for reader in readers.values():
        reader.warm(path)
    with cut(fleet, owner, "app"):
        by.unpublish(post)
        time.sleep(MOST_SECONDS)
        during = [readers[owner].get(path).status_code for _ in range(10)]
        moved = vip_owner(fleet, edges)
    after = []
    end = time.monotonic() + 15
    while time.monotonic() < end:
        after += [reader.get(path).status_code for reader in readers.values()]
        time.sleep(0.2)
    by.delete(post)
    assert httpx.codes.OK not in during, f"stale while cut off: {during}"
    assert moved != owner, "the edge that could not be told kept the address"
    assert httpx.codes.OK not in after, f"stale after healing: {after.count(httpx.codes.OK)} of {len(after)}"
