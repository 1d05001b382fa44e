# SPDX-License-Identifier: Apache-2.0
"""Shape of inventories/<environment>.yml: what an environment is and which hosts it has."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from infra.spec.alerting import Alerting, SmtpRelay
from infra.spec.platform_files import Port, Positive
from infra.spec.types import AbsolutePath, Address, Domain, Frozen, HostKey, KeyFile, Name, UserName

SMALLEST_PREFIX = 28


def _network(value: object) -> IPv4Network:
    try:
        return IPv4Network(str(value))
    except (AddressValueError, NetmaskValueError) as error:
        raise ValueError("must be an IPv4 network, like 10.87.0.0/24") from error
    except ValueError as error:
        raise ValueError("has host bits set; a network ends in zeros, like 10.87.0.0/24") from error


Network = Annotated[IPv4Network, BeforeValidator(_network), Field(strict=False)]


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
    operators: Annotated[list[Address], Field(min_length=1)]
    package_cache: PackageCache | None = None

    @model_validator(mode="after")
    def _private_and_large_enough(self) -> EnvironmentNetwork:
        if not self.subnet.is_private:
            raise ValueError(f"subnet {self.subnet} is public; hosts stand on a private network")
        if self.subnet.prefixlen > SMALLEST_PREFIX:
            raise ValueError(f"subnet {self.subnet} is too small; /{SMALLEST_PREFIX} is the smallest")
        return self


class EnvironmentSite(Frozen):
    """What an environment adds to a site."""

    domain: Domain
    aliases: list[Domain] = Field(default_factory=list)


class EnvironmentHost(Frozen):
    """One machine; `ssh_user`, `ssh_port` and `host_key` are for the `existing` substrate alone."""

    address: Address
    size: Name
    roles: Annotated[list[Name], Field(min_length=1)]
    disabled: bool = False
    ssh_user: UserName = "ops"
    ssh_port: Port = 22
    host_key: HostKey | None = None


class EnvironmentVolume(Frozen):
    """Data that outlives a host, mounted on every host of a role; a shared one is the same everywhere."""

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
    smtp_relay: SmtpRelay
    alerting: Alerting | None = None
    # passwords and tokens whose values come from outside, through Pulumi's configuration
    given_secrets: list[Name] = Field(default_factory=list)
    egress: Literal["package-cache", "direct"]
    internal_domain: Domain
    network: EnvironmentNetwork
    sites: dict[Name, EnvironmentSite]
    hosts: Annotated[dict[Name, EnvironmentHost], Field(min_length=1)]
    volumes: dict[Name, EnvironmentVolume] = Field(default_factory=dict)
    # a fact of the operator's machine, so it is left out where the description is passed on to hosts
    ssh_key_file: KeyFile | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _cache_where_needed(self) -> Environment:
        if (self.egress == "package-cache") != (self.network.package_cache is not None):
            raise ValueError("network.package_cache belongs to egress 'package-cache', and only there")
        return self
