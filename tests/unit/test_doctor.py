# SPDX-License-Identifier: Apache-2.0
"""The doctor names each thing that is wrong, with a mend, and says nothing about a healthy machine."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.lab.core.nspawn.paths import Paths as LabPaths
from infra.toolchain import doctor_facts
from infra.toolchain.doctor import GIB, Facts, Finding, checks, exit_code
from infra.toolchain.paths import Paths

HEALTHY = Facts()
UP = frozenset({"edge-1", "app-1"})
RUNNING = replace(
    HEALTHY,
    known_hosts=UP,
    running_hosts=UP,
    mounted_hosts=UP,
    labs=frozenset({"lab"}),
    bridged_labs=frozenset({"lab"}),
    mounted_labs=frozenset({"lab"}),
    addresses=(("pl-lab", "10.87.0.0/24"), ("eth0", "192.0.2.0/24")),
    disk_free=3 * GIB,
    memory_available=4 * GIB,
    stacks=("perennial/lab",),
    passphrase_fits=True,
)


def test_healthy_machine_has_no_findings() -> None:
    """A doctor that cries on a healthy machine is not believed on a sick one."""
    assert checks(HEALTHY) == []
    assert exit_code([]) == 0


def test_running_lab_has_no_findings() -> None:
    """Its own bridge, subnet and used memory are not faults."""
    assert checks(RUNNING) == []


BROKEN: list[tuple[dict[str, Any], str, str, int]] = [
    ({"root": False}, "root", "sudo", 64),
    ({"missing_commands": ("nft", "mmdebstrap")}, "commands", "make setup", 64),
    ({"overlay": False}, "overlayfs", "modprobe overlay", 64),
    ({"loop": False}, "loop devices", "modprobe loop", 64),
    ({"nftables_error": "Operation not supported"}, "nftables", "modprobe nf_tables", 64),
    ({"cgroups": False}, "cgroups", "mount", 64),
    ({"disk_free": 7 * GIB}, "disk", "df -h", 9),
    ({"memory_available": 9 * GIB}, "memory", "ps aux", 1),
    ({"addresses": (("virbr0", "10.87.0.0/16"),)}, "subnet", "inventories/lab.yml", 64),
    ({"port_holder": "nginx: master (process 7)"}, "port", "inventories/lab.yml", 64),
    ({"known_hosts": UP, "labs": frozenset({"lab"})}, "hosts", "make up ENV=lab", 5),
    ({"known_hosts": UP, "running_hosts": UP}, "mounts", "make up ENV=lab", 1),
    ({"running_hosts": UP}, "processes", "make down ENV=lab", 1),
    ({"bridged_labs": frozenset({"old"})}, "bridge", "ip link delete pl-old", 1),
    ({"mounted_labs": frozenset({"old"})}, "mounts", "make down ENV=old", 1),
    ({"passphrase_mode": None}, "passphrase", "make setup", 7),
    ({"passphrase_mode": None, "stacks": ("perennial/lab",)}, "passphrase", "restore", 7),
    ({"passphrase_mode": 0o644}, "passphrase", "chmod 600", 7),
    ({"passphrase_fits": False}, "passphrase", "restore", 7),
    ({"venv_current": False}, "libraries", "make setup", 64),
    ({"pulumi_version": None}, "pulumi", "make setup", 64),
    ({"pulumi_version": (3, 219, 9)}, "pulumi", "make setup", 64),
    ({"pulumi_version": (4, 0, 0)}, "pulumi", "make setup", 64),
    ({"language_host": False}, "language host", "make setup", 64),
    ({"newest_commit": datetime(2099, 1, 1, tzinfo=UTC)}, "clock", "timedatectl", 1),
    ({"now": datetime(2106, 2, 7, tzinfo=UTC)}, "clock", "timedatectl", 1),
]


@pytest.mark.parametrize(("fault", "check", "mend", "code"), BROKEN)
def test_each_fault_is_named_with_its_mend(fault: dict[str, Any], check: str, mend: str, code: int) -> None:
    """One fault gives exactly one finding, so that the reader mends one thing."""
    (finding,) = checks(replace(HEALTHY, **fault))
    assert (finding.check, finding.exit_code) == (check, code)
    assert mend in finding.mend
    assert finding.problem


def test_taken_subnet_names_the_link() -> None:
    """The reader must know who took it."""
    (finding,) = checks(replace(HEALTHY, addresses=(("docker0", "10.87.0.128/25"),)))
    assert "docker0" in finding.problem


def test_other_lab_with_the_same_subnet_is_a_conflict() -> None:
    """Only the environment's own bridge may carry its subnet."""
    assert [finding.check for finding in checks(replace(RUNNING, environment="test"))] == ["subnet"]


def test_hosts_by_address_need_no_lab() -> None:
    """With hosts that exist already, root and bridges of this machine do not matter."""
    assert checks(replace(HEALTHY, substrate="existing", root=False, loop=False, disk_free=0)) == []


def test_exit_code_names_what_to_mend_first() -> None:
    """Configuration comes before space, and space before hosts that are down."""
    found = [Finding("a", "b", "c", code) for code in (1, 5, 9)]
    assert exit_code(found) == 9
    assert exit_code([*found, Finding("a", "b", "c", 64)]) == 64


def test_every_fact_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not read would keep its default, which describes a healthy machine."""
    read: set[str] = set()

    def noted(facts: Facts, **found: Any) -> Facts:
        """Note what is added."""
        read.update(found)
        return replace(facts, **found)

    monkeypatch.setattr(doctor_facts, "replace", noted)
    monkeypatch.setattr(doctor_facts, "Facts", lambda **found: noted(HEALTHY, **found))
    monkeypatch.setattr(doctor_facts, "host_groups", lambda _lab: set())  # a lab of that name may be up here
    labs = LabPaths(root=tmp_path / "labs-root")
    (labs.lab("lab") / "hosts" / "app-1").mkdir(parents=True)
    facts = doctor_facts.read_facts("lab", Paths(tmp_path), labs)
    assert read == {field.name for field in fields(Facts)} - {"now"}
    assert (facts.labs, facts.known_hosts) == (frozenset({"lab"}), frozenset({"app-1"}))
    assert (facts.disk_path, facts.passphrase_mode, facts.venv_current) == (labs.root, None, False)
    assert {finding.check for finding in checks(facts)} >= {"hosts", "passphrase", "libraries", "pulumi"}
