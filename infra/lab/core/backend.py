# SPDX-License-Identifier: Apache-2.0
"""What a backend of the lab promises; the same contract tests run on every one."""

from __future__ import annotations

from typing import Protocol, TypeVar

from infra.lab.core.model import (
    HostSpec,
    HostState,
    ImageSpec,
    ImageState,
    NetworkSpec,
    NetworkState,
    VolumeSpec,
    VolumeState,
)
from infra.lab.core.process import Budget

SpecT_contra = TypeVar("SpecT_contra", contravariant=True)
StateT = TypeVar("StateT")


class Store(Protocol[SpecT_contra, StateT]):
    """Resources of one kind."""

    def foresee(self, spec: SpecT_contra) -> StateT | None:
        """The state that ``create`` would return, when it is known beforehand; changes nothing."""

    def create(self, spec: SpecT_contra, budget: Budget) -> StateT:
        """Make the resource, or take over and complete what an earlier, interrupted run began.

        Raises:
            LabError: it could not be made.
            UnhealthyError: it exists, but does not serve.
        """

    def read(self, old: StateT, budget: Budget) -> StateT | None:
        """The resource as it is now, or None when it is gone or must be made again."""

    def update(self, old: StateT, spec: SpecT_contra, budget: Budget) -> StateT:
        """Change the resource in place."""

    def delete(self, old: StateT, budget: Budget) -> None:
        """Remove the resource and all it owns; succeeds when it is gone already."""


class LabBackend(Protocol):
    """All resources of the labs of one machine."""

    @property
    def networks(self) -> Store[NetworkSpec, NetworkState]:
        """Bridges; deleting one also removes whatever interrupted runs left in its lab."""

    @property
    def images(self) -> Store[ImageSpec, ImageState]:
        """File trees, shared by all labs and deleted with their last user."""

    @property
    def volumes(self) -> Store[VolumeSpec, VolumeState]:
        """Data volumes."""

    @property
    def hosts(self) -> Store[HostSpec, HostState]:
        """Debian systems."""
