# SPDX-License-Identifier: Apache-2.0
"""A lab of the provider's own tests on this machine: one network, one volume, one image, one host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.lab.core.model import (
    HostSpec,
    HostState,
    ImageSpec,
    ImageState,
    NetworkState,
    VolumeState,
)
from infra.lab.core.nspawn.backend import NspawnBackend
from infra.lab.core.nspawn.cgroup import HostGroup
from infra.lab.core.nspawn.guest import inside, leader
from infra.lab.core.nspawn.paths import Paths
from infra.lab.core.process import run
from tests.unit.test_lab_contract import LAB, NETWORK, VOLUME, LabContract, budget

if TYPE_CHECKING:
    from collections.abc import Iterator

PATHS = Paths()


def sweep() -> None:
    """Remove this test's lab, also one that an interrupted test run left."""
    backend = NspawnBackend()
    backend.networks.delete(backend.networks.foresee(NETWORK), budget())


def group_of(spec: HostSpec) -> HostGroup:
    """Return the control group of a host."""
    return HostGroup(spec.lab, spec.name)


def leader_of(spec: HostSpec) -> int:
    """Return the guest's init as this machine numbers it."""
    pid = leader(group_of(spec))
    assert pid is not None
    return pid


def in_guest(spec: HostSpec, command: str) -> str:
    """Run a command line in a guest and return its output."""
    return run(inside(leader_of(spec), "sh", "-c", command), budget())


def connects(spec: HostSpec, address: str, port: int) -> bool:
    """Tell whether a guest gets a TCP connection within a second."""
    attempt = f"timeout 1 bash -c 'echo > /dev/tcp/{address}/{port}' 2>/dev/null && echo yes || echo no"
    return in_guest(spec, attempt) == "yes\n"


def addresses_of_this_machine() -> list[str]:
    """Return the addresses that other machines could know this one by."""
    links = json.loads(run(["ip", "-json", "-4", "address"], budget()))
    found = [info["local"] for link in links for info in link["addr_info"]]
    return [address for address in found if not address.startswith("127.")]


class World:
    """The fixtures; a class of tests that stands on them begins and ends without a lab."""

    @pytest.fixture(scope="class")
    def backend(self) -> Iterator[NspawnBackend]:
        """The real one."""
        sweep()
        yield NspawnBackend()
        sweep()

    @pytest.fixture(scope="class")
    def network(self, backend: NspawnBackend) -> NetworkState:
        """The lab's network."""
        return backend.networks.create(NETWORK, budget())

    @pytest.fixture(scope="class")
    def volume(self, backend: NspawnBackend, network: NetworkState) -> VolumeState:
        """A data volume."""
        return backend.volumes.create(VOLUME, budget())

    @pytest.fixture(scope="class")
    def image(self, backend: NspawnBackend, network: NetworkState) -> ImageState:
        """A small layer of this test's own over the base system that all labs share."""
        base = backend.images.create(ImageSpec(lab=LAB, name="system"), budget())
        return backend.images.create(
            ImageSpec(lab=LAB, name="own", base=base.hash, packages=("hello",)), budget()
        )

    @pytest.fixture
    def spec(self, network: NetworkState, image: ImageState, volume: VolumeState) -> HostSpec:
        """One host with the volume."""
        return LabContract.host_spec(network, image, volume)

    @pytest.fixture
    def running(self, backend: NspawnBackend, spec: HostSpec) -> HostState:
        """The host, running, with a file in its tree and one on its volume."""
        state = backend.hosts.create(spec, budget())
        in_guest(spec, "echo tree > /etc/marker; echo data > /srv/data/marker; sync")
        return state

    def assert_heals(self, backend: NspawnBackend, spec: HostSpec, running: HostState) -> None:
        """Hold the promise: the loss is seen, the next create mends it, and no file is lost."""
        assert backend.hosts.read(running, budget()) is None
        assert backend.hosts.create(spec, budget()) == running
        assert backend.hosts.read(running, budget()) == running
        assert in_guest(spec, "cat /etc/marker /srv/data/marker") == "tree\ndata\n"
