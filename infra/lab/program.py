# SPDX-License-Identifier: Apache-2.0
"""What a platform needs of the lab: plain data from plain data, so that tests need no engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.inventory.document import fleet_document
from infra.spec import Host, Platform

CAPABILITIES = ("reboot", "replace-host", "shared-kernel")
OPERATOR_KEY = "ssh-operator"
_BASE_ROLE = "base"


@dataclass(frozen=True)
class ImagePlan:
    """One image: its packages over the image named ``base`` (empty: a base system)."""

    name: str
    packages: tuple[str, ...]
    base: str


@dataclass(frozen=True)
class VolumePlan:
    """One volume."""

    name: str
    size_gib: int
    shared: bool


def image_name(host: Host) -> str:
    """The image of a host: one for each combination of roles, as every host of the same roles shares it."""
    return "-".join(sorted(set(host.roles) - {_BASE_ROLE})) or _BASE_ROLE


def images(platform: Platform) -> list[ImagePlan]:
    """The base system, over it the packages of every host, over those each combination of roles in use."""
    common = platform.packages((_BASE_ROLE,))
    plans = {"system": ImagePlan("system", (), ""), _BASE_ROLE: ImagePlan(_BASE_ROLE, common, "system")}
    for host in platform.hosts.values():
        own = tuple(sorted(set(platform.packages(host.roles)) - set(common)))
        name = image_name(host)
        if name != _BASE_ROLE and own:
            plans[name] = ImagePlan(name, own, _BASE_ROLE)
    return list(plans.values())


def image_of(host: Host, known: list[ImagePlan]) -> str:
    """The name of the image a host boots: its own, or the common one when its roles bring no packages."""
    return image_name(host) if any(plan.name == image_name(host) for plan in known) else _BASE_ROLE


def volumes(platform: Platform) -> list[VolumePlan]:
    """Every volume once, also when several hosts share it."""
    found = {
        mount.name: VolumePlan(mount.name, mount.size_gib, mount.shared)
        for host in platform.hosts.values()
        for mount in host.volumes
    }
    return list(found.values())


def mounts(host: Host) -> list[dict[str, str]]:
    """A host's volumes and where they are in it."""
    return [{"volume": mount.name, "path": mount.path} for mount in host.volumes]


def network(platform: Platform) -> dict[str, Any]:
    """Arguments of the network."""
    about = platform.environment.network
    port = about.package_cache.port if about.package_cache is not None else 3143
    return {"subnet": str(about.subnet), "gateway": str(about.gateway), "cache_port": port}


def fleet(platform: Platform, host_keys: dict[str, str]) -> dict[str, Any]:
    """The document ``fleet/1`` of a lab; ``host_keys`` are the public SSH host keys."""
    return fleet_document(platform, host_keys, CAPABILITIES)
