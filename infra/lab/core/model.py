# SPDX-License-Identifier: Apache-2.0
"""Specifications (what is asked for) and states (what exists) of the lab's resources."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Frozen data whose names are camelCase outside (Pulumi's convention) and snake_case inside."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid")


def _lab_name(value: str) -> str:
    # The bridge is pl-<lab>, and Linux allows 15 characters for a link.
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,11}", value):
        raise ValueError("a lab name has 1 to 12 characters: a-z, 0-9 and '-', beginning with a letter")
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", value):
        raise ValueError("a name has 1 to 40 characters: a-z, 0-9 and '-', beginning with a letter")
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", value) or "/../" in f"{value}/":
        raise ValueError("a mount point is an absolute path of letters, digits, '.', '_' and '-'")
    return value


def _address(value: str) -> str:
    return str(ipaddress.IPv4Address(value))


def _subnet(value: str) -> str:
    network = ipaddress.IPv4Network(value)
    if not network.is_private or not 8 <= network.prefixlen <= 28:
        raise ValueError("a lab subnet is a private IPv4 network of /8 to /28")
    return str(network)


LabName = Annotated[str, AfterValidator(_lab_name)]
Name = Annotated[str, AfterValidator(_name)]
MountPath = Annotated[str, AfterValidator(_path)]
Address = Annotated[str, AfterValidator(_address)]
Subnet = Annotated[str, AfterValidator(_subnet)]
Port = Annotated[int, Field(ge=1, le=65535)]
SecretKind = Literal["password", "token", "ssh-key", "ca"]


class NetworkSpec(Model):
    """One lab's bridge: its subnet, the machine's address on it and the port of the package cache."""

    lab: LabName
    subnet: Subnet
    gateway: Address
    cache_port: Port = 3143

    @model_validator(mode="after")
    def _gateway_inside(self) -> Self:
        if ipaddress.IPv4Address(self.gateway) not in ipaddress.IPv4Network(self.subnet):
            raise ValueError(f"gateway {self.gateway} is outside subnet {self.subnet}")
        return self


class NetworkState(NetworkSpec):
    """A network that exists."""

    bridge: str
    cache_url: str


class ImageSpec(Model):
    """A file tree for hosts: a base system, or packages as a layer over the image ``base`` (a hash)."""

    lab: LabName
    name: Name
    suite: Annotated[str, Field(pattern=r"^[a-z]+$")] = "trixie"
    packages: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.+-]+$")], ...] = ()
    base: Annotated[str, Field(pattern=r"^([0-9a-f]{24})?$")] = ""
    cache_port: Port = 3143


class ImageState(ImageSpec):
    """An image that exists; ``hash`` names its content and is the same for the same definition."""

    hash: str


class VolumeSpec(Model):
    """A data volume of its own file system that outlives hosts; ``shared`` ones may have several hosts."""

    lab: LabName
    name: Name
    size_gib: Annotated[int, Field(ge=1, le=4096)]
    shared: bool = False


class VolumeState(VolumeSpec):
    """A volume that exists; ``path`` is the directory on the machine that hosts see."""

    path: str


class Mount(Model):
    """A volume's place in a host."""

    volume: Name
    path: MountPath


class HostSpec(Model):
    """One Debian system with its own init, address, memory limit (MiB) and share of CPUs."""

    lab: LabName
    name: Name
    address: Address
    subnet: Subnet
    gateway: Address
    cache_url: str
    image: Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]
    memory_mib: Annotated[int, Field(ge=64)]
    cpus: Annotated[float, Field(gt=0)]
    mounts: tuple[Mount, ...] = ()
    authorized_key: str
    host_key_private: str = Field(repr=False)

    @model_validator(mode="after")
    def _address_inside(self) -> Self:
        network = ipaddress.IPv4Network(self.subnet)
        if ipaddress.IPv4Address(self.address) not in network.hosts():
            raise ValueError(f"address {self.address} is not a host address of {self.subnet}")
        if self.address == self.gateway:
            raise ValueError(f"address {self.address} is the machine's own on this network")
        return self

    @property
    def id(self) -> str:
        """The host's identity over all labs of this machine."""
        return f"{self.lab}/{self.name}"


class HostState(HostSpec):
    """A host that runs; ``host_key`` is the public half, for known_hosts."""

    host_key: str


class SecretSpec(Model):
    """A secret to be generated once; another ``version`` makes a new value."""

    name: Name
    kind: SecretKind
    length: Annotated[int, Field(ge=16, le=256)] = 32
    alphabet: Annotated[str, Field(min_length=2)] = (
        "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    )
    permitted_names: tuple[str, ...] = ()
    version: int = 1


class SecretState(SecretSpec):
    """A generated secret: ``value`` is confidential, ``public`` (public key or certificate) is not."""

    value: str = Field(repr=False)
    public: str = ""
