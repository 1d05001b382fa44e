# SPDX-License-Identifier: Apache-2.0
"""Rules about substrates: what only machines that exist already need to say, and what would lock them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.spec.environment import Environment
    from infra.spec.errors import Problem
    from infra.spec.source import Source

OF_EXISTING = ("host_key", "ssh_user", "ssh_port")


def _said_by_existing_only(
    environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    """A lab makes accounts and keys itself; what is written here would be a promise that it breaks."""
    if environment.substrate == "existing":
        return
    source, message = sources["environment"], "belongs to substrate 'existing' alone"
    if environment.ssh_key_file is not None:
        yield source.problem(("ssh_key_file",), message)
    for name, host in environment.hosts.items():
        for key in OF_EXISTING:
            if key in host.model_fields_set:
                yield source.problem(("hosts", name, key), message)


def _pinned_keys(
    environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    """The first connection too goes to the machine that is meant."""
    if environment.substrate != "existing":
        return
    source = sources["environment"]
    seen: dict[str, str] = {}
    for name, host in environment.hosts.items():
        if host.host_key is None:
            scan = f"ssh-keyscan -t ed25519 {host.address} | cut -d' ' -f2-"
            yield source.problem(("hosts", name), f"key 'host_key' is missing; to read it: {scan}")
            continue
        other = seen.setdefault(host.host_key, name)
        if other != name:
            message = f"is the key of {other!r} too: one machine twice, or a copy that needs a key of its own"
            yield source.problem(("hosts", name, "host_key"), message)


def _open_ssh_ports(
    environment: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    """The firewall opens the port of the service: on another one its first load would end all access."""
    service = parts["services"].get("ssh")
    for name, host in environment.hosts.items():
        if service and host.ssh_port != service.port:
            message = f"must be {service.port}, the port of service 'ssh': the firewall opens that one alone"
            yield sources["environment"].problem(("hosts", name, "ssh_port"), message)


SUBSTRATE_RULES = (_said_by_existing_only, _pinned_keys, _open_ssh_ports)
