# SPDX-License-Identifier: Apache-2.0
"""The contract that every lab backend keeps; here on the one in memory, in tests/lab on the machine."""

from __future__ import annotations

import threading

import pytest

from infra.lab.core.backend import LabBackend
from infra.lab.core.errors import CancelledError, LabError
from infra.lab.core.memory import MemoryBackend
from infra.lab.core.model import (
    HostSpec,
    HostState,
    ImageSpec,
    ImageState,
    Mount,
    NetworkSpec,
    NetworkState,
    SecretSpec,
    VolumeSpec,
    VolumeState,
)
from infra.lab.core.process import Budget
from infra.lab.core.secrets import generate

LAB = "tprov"
NETWORK = NetworkSpec(lab=LAB, subnet="10.85.7.0/24", gateway="10.85.7.1")
VOLUME = VolumeSpec(lab=LAB, name="data", size_gib=1)
OPERATOR = generate(SecretSpec(name="operator", kind="ssh-key"))
HOST_KEY = generate(SecretSpec(name="host", kind="ssh-key"))


def budget() -> Budget:
    """Enough time for an image on a busy machine."""
    return Budget(900)


class LabContract:
    """Subclasses provide the fixture ``backend``, of class scope: one lab is used by all tests."""

    @pytest.fixture(scope="class")
    def network(self, backend: LabBackend) -> NetworkState:
        """The lab's network."""
        return backend.networks.create(NETWORK, budget())

    @pytest.fixture(scope="class")
    def image(self, backend: LabBackend, network: NetworkState) -> ImageState:
        """A base system."""
        return backend.images.create(ImageSpec(lab=LAB, name="system"), budget())

    @pytest.fixture(scope="class")
    def volume(self, backend: LabBackend, network: NetworkState) -> VolumeState:
        """A data volume."""
        return backend.volumes.create(VOLUME, budget())

    @pytest.fixture(scope="class")
    def spec(self, network: NetworkState, image: ImageState, volume: VolumeState) -> HostSpec:
        """One host with the volume."""
        return self.host_spec(network, image, volume)

    @staticmethod
    def host_spec(network: NetworkState, image: ImageState, volume: VolumeState) -> HostSpec:
        """One host on this network, image and volume."""
        return HostSpec(
            lab=LAB,
            name="h1",
            address="10.85.7.11",
            subnet=network.subnet,
            gateway=network.gateway,
            cache_url=network.cache_url,
            image=image.hash,
            memory_mib=256,
            cpus=1,
            mounts=(Mount(volume=volume.name, path="/srv/data"),),
            authorized_key=OPERATOR.public,
            host_key_private=HOST_KEY.value,
        )

    @pytest.fixture(scope="class")
    def running(self, backend: LabBackend, spec: HostSpec) -> HostState:
        """The host, running."""
        return backend.hosts.create(spec, budget())

    def test_what_was_created_is_read_back_unchanged(
        self,
        backend: LabBackend,
        network: NetworkState,
        image: ImageState,
        volume: VolumeState,
        running: HostState,
    ) -> None:
        """Anything else would be drift that nobody caused."""
        assert backend.networks.read(network, budget()) == network
        assert backend.images.read(image, budget()) == image
        assert backend.volumes.read(volume, budget()) == volume
        assert backend.hosts.read(running, budget()) == running

    def test_create_again_adopts(
        self,
        backend: LabBackend,
        network: NetworkState,
        volume: VolumeState,
        spec: HostSpec,
        running: HostState,
    ) -> None:
        """An interrupted run left resources that no state knows; the next run must take them over."""
        assert backend.networks.create(NETWORK, budget()) == network
        assert backend.volumes.create(VOLUME, budget()) == volume
        assert backend.hosts.create(spec, budget()) == running

    def test_foreseen_state_is_the_state(
        self, backend: LabBackend, spec: HostSpec, running: HostState
    ) -> None:
        """A preview that shows other values than the update makes would mislead."""
        assert backend.hosts.foresee(spec) == running

    def test_limits_change_in_place(self, backend: LabBackend, spec: HostSpec, running: HostState) -> None:
        """More memory must not cost a host its files."""
        bigger = spec.model_copy(update={"memory_mib": 320})
        assert backend.hosts.update(running, bigger, budget()).memory_mib == 320
        assert backend.hosts.update(running, spec, budget()) == running

    def test_a_volume_grows_and_does_not_shrink(self, backend: LabBackend, network: NetworkState) -> None:
        """Shrinking a file system under data is how data is lost."""
        small = VolumeSpec(lab=LAB, name="grows", size_gib=1)
        state = backend.volumes.create(small, budget())
        grown = backend.volumes.update(state, small.model_copy(update={"size_gib": 2}), budget())
        assert backend.volumes.read(grown, budget()) == grown
        with pytest.raises(LabError, match="cannot shrink"):
            backend.volumes.update(grown, small, budget())
        backend.volumes.delete(grown, budget())

    def test_the_same_definition_has_the_same_hash(self, backend: LabBackend) -> None:
        """The hash names the content; order and name of a definition are not content."""
        first = backend.images.foresee(ImageSpec(lab=LAB, name="a", packages=("nginx", "git")))
        second = backend.images.foresee(ImageSpec(lab=LAB, name="b", packages=("git", "nginx")))
        third = backend.images.foresee(ImageSpec(lab=LAB, name="a", packages=("git",)))
        assert first is not None
        assert second is not None
        assert third is not None
        assert first.hash == second.hash
        assert first.hash != third.hash

    def test_a_taken_subnet_is_refused(self, backend: LabBackend, network: NetworkState) -> None:
        """Two labs on one subnet would answer for each other."""
        with pytest.raises(LabError, match=r"subnet 10\.85\.7\.128/25 is taken"):
            backend.networks.create(
                NetworkSpec(lab="tother", subnet="10.85.7.128/25", gateway="10.85.7.129"), budget()
            )

    def test_a_host_without_its_image_is_refused(self, backend: LabBackend, spec: HostSpec) -> None:
        """The message must name the host and the image."""
        with pytest.raises(LabError, match=r"host h2: its image 0{24} is missing"):
            backend.hosts.create(spec.model_copy(update={"name": "h2", "image": "0" * 24}), budget())

    def test_a_cancelled_act_stops(self, backend: LabBackend, spec: HostSpec) -> None:
        """Ctrl-C must not wait for a boot."""
        cancelled = threading.Event()
        cancelled.set()
        with pytest.raises(CancelledError):
            backend.hosts.create(spec.model_copy(update={"name": "h3"}), Budget(60, cancelled))

    def test_z_delete_succeeds_twice_and_leaves_nothing_to_read(
        self,
        backend: LabBackend,
        network: NetworkState,
        image: ImageState,
        volume: VolumeState,
        running: HostState,
    ) -> None:
        """An interrupted destroy is run again; its name puts this test last."""
        for _ in range(2):
            backend.hosts.delete(running, budget())
            backend.volumes.delete(volume, budget())
            backend.images.delete(image, budget())
            backend.networks.delete(network, budget())
        assert backend.hosts.read(running, budget()) is None
        assert backend.volumes.read(volume, budget()) is None
        assert backend.images.read(image, budget()) is None
        assert backend.networks.read(network, budget()) is None


class TestMemory(LabContract):
    """The backend without a machine."""

    @pytest.fixture(scope="class")
    def backend(self) -> LabBackend:
        """An empty machine."""
        return MemoryBackend()
