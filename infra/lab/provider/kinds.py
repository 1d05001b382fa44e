# SPDX-License-Identifier: Apache-2.0
"""The resource types of the provider: how each maps to the core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.lab.core.backend import LabBackend
from infra.lab.core.model import (
    HostSpec,
    HostState,
    ImageSpec,
    ImageState,
    Model,
    NetworkSpec,
    NetworkState,
    SecretSpec,
    SecretState,
    VolumeSpec,
    VolumeState,
)
from infra.lab.core.process import Budget
from infra.lab.core.secrets import generate


class SecretStore:
    """Secrets live in the engine's encrypted state alone: nothing to look at, nothing to remove."""

    def foresee(self, spec: SecretSpec) -> SecretState | None:
        """A secret is not known before it exists."""

    def create(self, spec: SecretSpec, budget: Budget) -> SecretState:
        """Generate the value."""
        budget.check(f"generating secret {spec.name}")
        return generate(spec)

    def read(self, old: SecretState, budget: Budget) -> SecretState | None:
        """What the state holds."""
        budget.check(f"reading secret {old.name}")
        return old

    def update(self, old: SecretState, spec: SecretSpec, budget: Budget) -> SecretState:
        """Keep the value: only a replacement makes another."""
        budget.check(f"updating secret {spec.name}")
        return SecretState(**dict(spec), value=old.value, public=old.public)

    def delete(self, old: SecretState, budget: Budget) -> None:
        """Nothing to do."""


@dataclass(frozen=True)
class Kind:
    """One resource type.

    Args:
        spec: its inputs.
        state: its outputs.
        store: how to get at the resources of this kind.
        identity: the resource's id.
        replace: inputs whose change needs another resource; other changes are made in place.
        fingerprint: computed outputs that follow from the inputs and from this release of the provider;
            another value needs another resource as well.
        secret: confidential properties.
        refresh: look at the real thing before every update, so that a plain `pulumi up` heals.
        seconds: time limit of one act unless the program sets another.
    """

    spec: type[Model]
    state: type[Model]
    store: Callable[[LabBackend], Any]
    identity: Callable[[Any], str]
    replace: frozenset[str]
    fingerprint: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()
    delete_first: bool = False
    refresh: bool = True
    seconds: float = 180.0

    @property
    def computed(self) -> frozenset[str]:
        """Outputs that are not inputs."""
        return frozenset(_wire_names(self.state)) - frozenset(_wire_names(self.spec))


def _wire_names(model: type[Model]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


_SECRETS = SecretStore()

KINDS: dict[str, Kind] = {
    "lab:index:Network": Kind(
        NetworkSpec,
        NetworkState,
        lambda backend: backend.networks,
        lambda state: state.lab,
        replace=frozenset({"lab", "subnet", "gateway", "cachePort"}),
        delete_first=True,
    ),
    "lab:index:Image": Kind(
        ImageSpec,
        ImageState,
        lambda backend: backend.images,
        lambda state: state.hash,
        replace=frozenset({"lab", "name", "suite", "packages", "base"}),
        fingerprint=frozenset({"hash"}),
        seconds=1800.0,
    ),
    "lab:index:Volume": Kind(
        VolumeSpec,
        VolumeState,
        lambda backend: backend.volumes,
        lambda state: f"{state.lab}/{state.name}",
        replace=frozenset({"lab", "name"}),
        delete_first=True,
    ),
    "lab:index:Host": Kind(
        HostSpec,
        HostState,
        lambda backend: backend.hosts,
        lambda state: state.id,
        replace=frozenset({"lab", "name", "address", "subnet", "image"}),
        secret=frozenset({"hostKeyPrivate"}),
        delete_first=True,
    ),
    "lab:index:Secret": Kind(
        SecretSpec,
        SecretState,
        lambda _: _SECRETS,
        lambda state: state.name,
        replace=frozenset({"name", "kind", "length", "alphabet", "permittedNames", "version"}),
        secret=frozenset({"value"}),
        refresh=False,
    ),
}
