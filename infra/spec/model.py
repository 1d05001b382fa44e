# SPDX-License-Identifier: Apache-2.0
"""The Platform: one validated, frozen description of what exists in an environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.spec.environment import Environment
    from infra.spec.platform_files import (
        Clause,
        Flow,
        Person,
        Role,
        Secret,
        Service,
        Site,
        Size,
        Slo,
        Task,
        Team,
    )

GROUPS_FOR_ALL = ("base",)


@dataclass(frozen=True)
class VolumeMount:
    """A volume as one host sees it; `name` is unique in the environment, size in GiB."""

    name: str
    path: str
    size_gib: int
    shared: bool


@dataclass(frozen=True)
class Host:
    """One machine of the environment; `roles` always starts with `base`."""

    name: str
    address: str
    fqdn: str
    roles: tuple[str, ...]
    size_name: str
    size: Size
    volumes: tuple[VolumeMount, ...]
    disabled: bool
    ssh_user: str
    ssh_port: int


@dataclass(frozen=True)
class PlatformSite:
    """A site in this environment."""

    id: str
    domain: str
    aliases: tuple[str, ...]
    definition: Site


@dataclass(frozen=True)
class SecretSpec:
    """A value that the substrate generates; `readers` are the roles whose hosts get it."""

    name: str
    kind: str
    length: int | None
    title: str
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Platform:
    """Everything that the rest of Perennial derives from; made by `infra.spec.load`, never by hand."""

    environment: Environment
    hosts: Mapping[str, Host]
    sites: Mapping[str, PlatformSite]
    roles: Mapping[str, Role]
    sizes: Mapping[str, Size]
    services: Mapping[str, Service]
    flows: tuple[Flow, ...]
    secrets: Mapping[str, SecretSpec]
    secret_definitions: Mapping[str, Secret]
    slos: Mapping[str, Slo]
    teams: Mapping[str, Team]
    people: Mapping[str, Person]
    tasks: Mapping[str, Task]
    plan: Mapping[str, Clause]

    @property
    def name(self) -> str:
        """Return the environment's name."""
        return self.environment.environment

    def with_role(self, role: str, *, enabled_only: bool = False) -> tuple[Host, ...]:
        """Return the hosts that carry `role`, in the order of the environment file."""
        hosts = (host for host in self.hosts.values() if role in host.roles)
        return tuple(host for host in hosts if not (enabled_only and host.disabled))

    def packages(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """Return the Debian packages of `roles`, sorted, each once."""
        return tuple(sorted({package for role in roles for package in self.roles[role].packages}))
