# SPDX-License-Identifier: Apache-2.0
"""Rules about addresses and flows: who has which address, and whether those who must talk may."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from infra.spec.errors import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.spec.environment import Environment
    from infra.spec.source import Source

PEERS = ("every-host", "operator", "anywhere", "package-cache", "mail-relay")
Path = tuple[str | int, ...]


def _addresses(
    environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    source, network = sources["environment"], environment.network
    places: list[tuple[Path, Any]] = [
        (("network", "gateway"), network.gateway),
        (("vip", "address"), environment.vip.address),
    ]
    places += [(("hosts", name, "address"), host.address) for name, host in environment.hosts.items()]
    seen: dict[Any, Path] = {}
    for path, address in places:
        first = seen.setdefault(address, path)
        if first != path:
            yield source.problem(path, f"address {address} is taken by {'.'.join(map(str, first))}")
        if environment.substrate != "lab":
            continue
        if address not in network.subnet:
            yield source.problem(path, f"address {address} is not in network.subnet {network.subnet}")
        elif address in (network.subnet.network_address, network.subnet.broadcast_address):
            yield source.problem(path, f"address {address} is the network's own or its broadcast address")


def _flow_ends(_: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]) -> Iterator[Problem]:
    valid = [*PEERS, *parts["roles"]]
    for index, flow in enumerate(parts["flows"]):
        for key, value in (("from", flow.from_), ("to", flow.to)):
            if value not in valid:
                message = f"no peer named {value!r}"
                yield sources["network"].problem(("flows", index, key), message, nearest(value, valid))
        service = parts["services"].get(flow.service)
        reached = (
            {"base", "every-host"} if service and service.role == "base" else {getattr(service, "role", None)}
        )
        if service and flow.to not in reached and flow.to in parts["roles"]:
            message = f"service {flow.service!r} runs on {service.role!r}, not on {flow.to!r}"
            yield sources["network"].problem(("flows", index, "to"), message, service.role)


def _unreachable_exporters(
    _: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    """A scrape target behind a closed firewall would only show as a target that is down."""
    services = parts["services"]
    open_ports = {
        (services[flow.service].role, services[flow.service].port)
        for flow in parts["flows"]
        if flow.from_ == "monitoring" and flow.service in services
    }
    for name, service in services.items():
        scraped = service.probe == "scrape" and service.state == "live"
        if scraped and (service.role, service.port) not in open_ports:
            message = "is scraped, but network.yml has no flow from monitoring to it"
            yield sources["services"].problem(("services", name), message)


def _repeated_flows(
    _: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    seen = set()
    for index, flow in enumerate(parts["flows"]):
        if flow in seen:
            yield sources["network"].problem(("flows", index), "repeats an earlier flow")
        seen.add(flow)


NETWORK_RULES = (_addresses, _flow_ends, _unreachable_exporters, _repeated_flows)


def overlapping_labs(
    environment: Environment, source: Source, others: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield a problem for each other lab on the same addresses; `others` maps names to raw files."""
    for name, data in others.items():
        network = data.get("network") if isinstance(data, dict) else None
        if environment.substrate != "lab" or data.get("substrate") != "lab" or not isinstance(network, dict):
            continue
        try:
            taken = IPv4Network(str(network.get("subnet")))
        except ValueError:
            continue  # the other file's own problem
        if taken.overlaps(environment.network.subnet):
            yield source.problem(("network", "subnet"), f"overlaps {taken} of environment {name!r}")
