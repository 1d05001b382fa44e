# SPDX-License-Identifier: Apache-2.0
"""The typed model of inventories/: read once, validated whole, frozen. Imports no engine."""

from infra.spec.errors import Problem, SpecError, nearest
from infra.spec.loader import CHECKOUT, INVENTORIES, environments, load
from infra.spec.model import Host, Platform, PlatformSite, SecretSpec, VolumeMount

__all__ = [
    "CHECKOUT",
    "INVENTORIES",
    "Host",
    "Platform",
    "PlatformSite",
    "Problem",
    "SecretSpec",
    "SpecError",
    "VolumeMount",
    "environments",
    "load",
    "nearest",
]
