# SPDX-License-Identifier: Apache-2.0
"""What a lab leaves behind is told from what other labs do on the same machine meanwhile."""

from __future__ import annotations

import json

import pytest

from tests import traces
from tests.traces import left_behind, owner, snapshot

KINDS = (
    "processes", "mounts", "links", "addresses", "firewall",
    "loop devices", "control groups", "files", "routes",
)  # fmt: skip
OF_A_LAB = (
    ("processes", "41 --machine={lab}-db-2 systemd-nspawn --quiet --boot --machine={lab}-db-2"),
    ("mounts", "/var/lib/perennial/labs/{lab}/hosts/db-2/root"),
    ("links", "pl-{lab}"),
    ("links", "vb-{lab}-db-2 in pl-{lab}"),
    ("links", "vb-verylongn4f1c in pl-{lab}"),
    ("links", "vb-{lab}-db-2"),
    ("addresses", "pl-{lab} 192.0.2.1"),
    ("firewall", "table inet perennial_{lab}"),
    ("loop devices", "/dev/loop7 /var/lib/perennial/labs/{lab}/volumes/uploads.img"),
    ("control groups", "/sys/fs/cgroup/memory/perennial/{lab}/db-2/guest/perennial-role-check.service"),
    ("control groups", "/sys/fs/cgroup/perennial/{lab}/db-2/guest/perennial-role-check.service"),
    ("files", "/var/lib/perennial/labs/{lab}"),
    ("files", "/var/lib/perennial/labs/{lab}/hosts"),
    ("files", "/var/lib/perennial/images/users/0a1b/{lab}.trixie"),
    ("files", "/var/lib/perennial/cache/users/{lab}"),
    ("files", "/run/perennial-lab/host-{lab}-db-2.lock"),
    ("routes", "192.0.2.0/24 dev pl-{lab} proto kernel scope link"),
)
OF_ALL_LABS = (
    ("processes", "42 /usr/sbin/apt-cacher-ng -c /var/lib/perennial/cache/conf"),
    ("firewall", "table inet perennial_package_cache"),
    ("control groups", "/sys/fs/cgroup/memory/perennial"),
    ("files", "/var/lib/perennial/images/0a1b/etc"),
    ("files", "/var/lib/perennial/labs"),
    ("files", "/var/lib/perennial/cache/conf"),
    ("files", "/run/perennial-lab"),
    ("files", "/run/perennial-lab/network.lock"),
)
OF_NOBODY = (
    ("processes", "43 sh -c systemd-nspawn"),
    ("mounts", "/mnt/left"),
    ("links", "dummy0"),
    ("addresses", "eth0 192.0.2.77"),
    ("firewall", "table inet filter"),
    ("loop devices", "/dev/loop9 /tmp/disk.img"),
    ("control groups", "/sys/fs/cgroup/memory/system.slice/perennial-x.service"),
    ("files", "/var/lib/perennial/strange"),
    ("routes", "192.0.2.0/24 dev eth0"),
)


def world(*lines: tuple[str, str], lab: str = "test") -> dict[str, set[str]]:
    """Return a snapshot with these lines."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for kind, line in lines:
        found[kind].add(line.format(lab=lab))
    return found


def together(*worlds: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return what is there when all of these are."""
    return {kind: set().union(*(one[kind] for one in worlds)) for kind in KINDS}


@pytest.mark.parametrize(("kind", "line"), [*OF_A_LAB, *OF_ALL_LABS, *OF_NOBODY])
def test_what_the_lab_leaves_is_found(kind: str, line: str) -> None:
    """Its own, what it shared with nobody else, and what carries no name: whoever left it."""
    assert left_behind(world(), world((kind, line)), "test") == {kind: [line.format(lab="test")]}


def test_another_lab_that_begins_meanwhile_leaves_nothing_of_this_one() -> None:
    """Nor does what all labs share, as long as the other one is up."""
    other = together(world(*OF_A_LAB, lab="test2"), world(*OF_ALL_LABS))
    assert left_behind(world(), other, "test") == {}


def test_another_lab_that_ends_meanwhile_hides_nothing() -> None:
    """What is shared must be gone when the last lab is."""
    other = together(world(*OF_A_LAB, lab="other"), world(OF_ALL_LABS[0]))
    after = world(OF_ALL_LABS[1])
    assert left_behind(other, after, "test") == {"firewall": ["table inet perennial_package_cache"]}


@pytest.mark.parametrize(("kind", "line"), [*OF_A_LAB, *OF_NOBODY])
def test_what_the_lab_leaves_is_found_beside_another_one(kind: str, line: str) -> None:
    """Strict for the lab's own and for what nobody's name is on."""
    other = together(world(*OF_A_LAB, lab="other"), world(*OF_ALL_LABS))
    after = together(other, world((kind, line)))
    assert left_behind(world(), after, "test") == {kind: [line.format(lab="test")]}


def test_a_lab_is_told_from_one_whose_name_begins_alike() -> None:
    """`test` is not `test2`."""
    for kind, line in OF_A_LAB:
        assert owner(line.format(lab="test2")) == "test2", kind


def test_a_snapshot_names_the_bridge_of_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd-nspawn cuts the name of a link short: its bridge has the lab's name whole."""
    links = [
        {"ifname": "pl-test", "addr_info": [{"local": "192.0.2.1"}]},
        {"ifname": "vb-verylongn4f1c", "master": "pl-test", "addr_info": [{"local": "fe80::1"}]},
    ]
    answers = {"ip -json address": [json.dumps(links)]}
    monkeypatch.setattr(traces, "_lines", lambda *words: answers.get(" ".join(words), []))
    found = snapshot()
    assert set(found) == set(KINDS)
    assert found["links"] == {"pl-test", "vb-verylongn4f1c in pl-test"}
    assert found["addresses"] == {"pl-test 192.0.2.1", "vb-verylongn4f1c in pl-test fe80::1"}
