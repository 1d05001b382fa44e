# SPDX-License-Identifier: Apache-2.0
"""What every substrate hands over: the document `fleet/1` and the shape of each secret's value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.spec import Platform


def next_command(platform: Platform) -> str:
    """Return the command that configures the machines which a substrate has made or found."""
    return "make converge" if platform.name == "lab" else f"make converge ENV={platform.name}"


def fleet_document(
    platform: Platform, host_keys: Mapping[str, str], capabilities: Iterable[str]
) -> dict[str, Any]:
    """Return the document `fleet/1`: where the hosts are and how to reach them; no confidential value.

    Args:
        platform: the environment's description.
        host_keys: public SSH host key of each host.
        capabilities: what the substrate can do with a host.
    """
    return {
        "schema": "fleet/1",
        "environment": platform.name,
        "substrate": platform.environment.substrate,
        "capabilities": list(capabilities),
        "hosts": {
            name: {
                "address": host.address,
                "user": host.ssh_user,
                "port": host.ssh_port,
                "host_key": host_keys[name],
            }
            for name, host in platform.hosts.items()
        },
        "secrets": {
            name: {"kind": secret.kind, "ref": f"pulumi:{name}"} for name, secret in platform.secrets.items()
        },
        "next": next_command(platform),
    }


def secret_document(kind: str, value: str, public: str) -> dict[str, str]:
    """Return a secret as the inventory reads it; the fields depend on the kind."""
    if kind == "ssh-key":
        return {"kind": kind, "private_key": value, "public_key": public}
    if kind == "ca":
        return {"kind": kind, "key": value, "certificate": public}
    return {"kind": kind, "value": value}
