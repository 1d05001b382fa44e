# SPDX-License-Identifier: Apache-2.0
"""Shape of inventories/<environment>.yml: what an environment is and which hosts it has."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from infra.spec.platform_files import Port, Positive
from infra.spec.types import AbsolutePath, Domain, Frozen, Name

Address = Annotated[IPv4Address, BeforeValidator(lambda value: IPv4Address(value)), Field(strict=False)]
Network = Annotated[IPv4Network, BeforeValidator(lambda value: IPv4Network(value)), Field(strict=False)]


class Vip(Frozen):
    """The address that clients use, and who moves it."""

    mode: Literal["vrrp"]
    address: Address
    router_id: Annotated[int, Field(ge=1, le=255)]


class PackageCache(Frozen):
    """Where hosts get packages from."""

    address: Address
    port: Port


class EnvironmentNetwork(Frozen):
    """The one network of the platform."""

    subnet: Network
    gateway: Address
    operators: list[Address]
    package_cache: PackageCache | None = None


class EnvironmentSite(Frozen):
    """What an environment adds to a site."""

    domain: Domain
    aliases: list[Domain] = []


class EnvironmentHost(Frozen):
    """One machine; `ssh_user` and `ssh_port` matter to the `existing` substrate."""

    address: Address
    size: Name
    roles: Annotated[list[Name], Field(min_length=1)]
    disabled: bool = False
    ssh_user: str = "ops"
    ssh_port: Port = 22


class EnvironmentVolume(Frozen):
    """Data that outlives a host, mounted on every host of a role; a shared one is the same data everywhere."""

    role: Name
    path: AbsolutePath
    size_gib: Positive
    shared: bool = False


class Environment(Frozen):
    """A whole environment file."""

    plugin: Literal["perennial"]
    environment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,9}$")]
    substrate: Literal["lab", "existing"]
    disposable: bool
    load_limit: Annotated[int, Field(ge=0)]
    suite: Literal["trixie"]
    tls: Literal["internal"]
    vip: Vip
    smtp_relay: Literal["none"]
    egress: Literal["package-cache", "direct"]
    internal_domain: Domain
    network: EnvironmentNetwork
    sites: dict[Name, EnvironmentSite]
    hosts: Annotated[dict[Name, EnvironmentHost], Field(min_length=1)]
    volumes: dict[Name, EnvironmentVolume] = {}

    @model_validator(mode="after")
    def _cache_where_needed(self) -> Environment:
        if (self.egress == "package-cache") != (self.network.package_cache is not None):
            raise ValueError("network.package_cache belongs to egress 'package-cache', and only there")
        return self
