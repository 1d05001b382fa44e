# SPDX-License-Identifier: Apache-2.0
"""The lab backend that only remembers: for tests of programs and of the provider, without root."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network
from typing import Any, Generic, TypeVar

from infra.lab.core.errors import LabError, UnhealthyError
from infra.lab.core.model import (
    HostSpec,
    HostState,
    ImageSpec,
    ImageState,
    Model,
    NetworkSpec,
    NetworkState,
    VolumeSpec,
    VolumeState,
)
from infra.lab.core.process import Budget

SpecT = TypeVar("SpecT", bound=Model)
StateT = TypeVar("StateT", bound=Model)


class MemoryStore(Generic[SpecT, StateT]):
    """Resources of one kind, in a dictionary.

    Args:
        foresee: the state that follows from a specification.
        identity: what a resource is known by.
        check: refuses a specification that the others do not allow; gets the specification and what exists.
    """

    def __init__(
        self,
        foresee: Callable[[Any], StateT],
        identity: Callable[[Any], str],
        check: Callable[[Any, Iterable[StateT]], None] = lambda _spec, _others: None,
    ) -> None:
        self._foresee, self._identity, self._check = foresee, identity, check
        self._lock = threading.Lock()
        self.existing: dict[str, StateT] = {}
        self.broken: set[str] = set()

    def foresee(self, spec: SpecT) -> StateT:
        """The state that follows from the specification."""
        return self._foresee(spec)

    def create(self, spec: SpecT, budget: Budget) -> StateT:
        """Remember the resource; raise UnhealthyError while its id is among ``broken``."""
        state = self._foresee(spec)
        name = self._identity(state)
        budget.check(f"creating {name}")
        with self._lock:
            self._check(spec, [other for key, other in self.existing.items() if key != name])
            self.existing[name] = state
        if name in self.broken:
            raise UnhealthyError((f"{name} is broken",), state)
        return state

    def read(self, old: StateT, budget: Budget) -> StateT | None:
        """What is remembered."""
        budget.check(f"looking at {self._identity(old)}")
        return self.existing.get(self._identity(old))

    def update(self, old: StateT, spec: SpecT, budget: Budget) -> StateT:
        """Remember the change."""
        budget.check(f"changing {self._identity(old)}")
        if isinstance(old, VolumeState) and isinstance(spec, VolumeSpec) and spec.size_gib < old.size_gib:
            raise LabError(f"volume {spec.name}: {old.size_gib} GiB cannot shrink to {spec.size_gib}")
        return self.create(spec, budget)

    def delete(self, old: StateT, budget: Budget) -> None:
        """Forget the resource."""
        budget.check(f"deleting {self._identity(old)}")
        with self._lock:
            self.existing.pop(self._identity(old), None)


class MemoryBackend:
    """Resources of all kinds; satisfies ``LabBackend``."""

    def __init__(self) -> None:
        self.networks: MemoryStore[NetworkSpec, NetworkState] = MemoryStore(
            _network, lambda state: str(state.lab), _refuse_overlap
        )
        self.images: MemoryStore[ImageSpec, ImageState] = MemoryStore(_image, lambda state: str(state.hash))
        self.volumes: MemoryStore[VolumeSpec, VolumeState] = MemoryStore(_volume, _lab_and_name)
        self.hosts: MemoryStore[HostSpec, HostState] = MemoryStore(
            _host, _lab_and_name, self._refuse_imageless
        )

    def _refuse_imageless(self, spec: HostSpec, _others: Iterable[HostState]) -> None:
        if spec.image not in self.images.existing:
            raise LabError(f"host {spec.name}: its image {spec.image} is missing or damaged")


def _lab_and_name(state: VolumeState | HostState) -> str:
    return f"{state.lab}/{state.name}"


def _network(spec: NetworkSpec) -> NetworkState:
    url = f"http://{spec.gateway}:{spec.cache_port}"
    return NetworkState(**dict(spec), bridge=f"pl-{spec.lab}", cache_url=url)


def _image(spec: ImageSpec) -> ImageState:
    definition = repr((spec.suite, sorted(spec.packages), spec.base))
    return ImageState(**dict(spec), hash=hashlib.sha256(definition.encode()).hexdigest()[:24])


def _volume(spec: VolumeSpec) -> VolumeState:
    return VolumeState(**dict(spec), path=f"/memory/{spec.lab}/{spec.name}")


def _host(spec: HostSpec) -> HostState:
    digest = hashlib.sha256(spec.host_key_private.encode()).hexdigest()
    return HostState(**dict(spec), host_key=f"ssh-ed25519 {digest}")


def _refuse_overlap(spec: NetworkSpec, others: Iterable[NetworkState]) -> None:
    for other in others:
        if IPv4Network(spec.subnet).overlaps(IPv4Network(other.subnet)):
            raise LabError(f"network of lab {spec.lab}: subnet {spec.subnet} is taken by lab {other.lab}")
