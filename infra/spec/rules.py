# SPDX-License-Identifier: Apache-2.0
"""Rules that cross entries and files: dangling names, clashes, addresses outside the network."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from infra.spec.errors import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from infra.spec.environment import Environment
    from infra.spec.source import Source

PEERS = ("every-host", "operator", "anywhere", "package-cache")
Path = tuple[str | int, ...]
Reference = tuple[str, Path, str, str]  # source, path, value, kind of the thing named


def broken_rules(environment: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]) -> list[Problem]:
    """Return every rule broken by an environment and the platform files together."""
    checks: list[Callable[[Environment, Mapping[str, Any], Mapping[str, Source]], Iterator[Problem]]] = [
        _dangling_names,
        _port_clashes,
        _addresses,
        _role_conflicts,
        _needed_roles,
        _site_domains,
        _volumes,
        _flow_ends,
    ]
    return [problem for check in checks for problem in check(environment, parts, sources)]


def _dangling_names(
    environment: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    names: dict[str, Iterable[str]] = {
        "role": parts["roles"], "size": parts["sizes"], "team": parts["teams"], "service": parts["services"],
        "site": parts["sites"], "SLO": parts["slos"], "plan clause": parts["clauses"],
    }  # fmt: skip
    references = [*_platform_references(parts), *_environment_references(environment)]
    for source, path, value, kind in references:
        if value not in names[kind]:
            yield sources[source].problem(path, f"no {kind} named {value!r}", nearest(value, names[kind]))


def _platform_references(parts: Mapping[str, Any]) -> Iterator[Reference]:
    for name, service in parts["services"].items():
        yield "services", ("services", name, "role"), service.role, "role"
        yield "services", ("services", name, "owner"), service.owner, "team"
        if service.slo:
            yield "services", ("services", name, "slo"), service.slo, "SLO"
        if service.shares_port_with:
            yield "services", ("services", name, "shares_port_with"), service.shares_port_with, "service"
    for name, task in parts["tasks"].items():
        yield "schedule", ("tasks", name, "plan"), task.plan, "plan clause"
        yield "schedule", ("tasks", name, "owner"), task.owner, "team"
        key = "role" if task.hosts.role else "one_of"
        yield "schedule", ("tasks", name, "hosts", key), task.hosts.role or task.hosts.one_of, "role"
    for name, secret in parts["secrets"].items():
        for index, role in enumerate(secret.readers):
            yield "secrets", ("secrets", name, "readers", index), role, "role"
    for name, role in parts["roles"].items():
        for other in role.exclusive_with:
            yield "roles", ("roles", name, "exclusive_with", other), other, "role"
    for name, slo in parts["slos"].items():
        yield "slos", ("slos", name, "owner"), slo.owner, "team"
    for name, person in parts["people"].items():
        for index, team in enumerate(person.teams):
            yield "people", ("people", name, "teams", index), team, "team"
    for index, flow in enumerate(parts["flows"]):
        if flow.service and flow.to != "package-cache":
            yield "network", ("flows", index, "service"), flow.service, "service"


def _environment_references(environment: Environment) -> Iterator[Reference]:
    for name, host in environment.hosts.items():
        yield "environment", ("hosts", name, "size"), host.size, "size"
        for index, role in enumerate(host.roles):
            yield "environment", ("hosts", name, "roles", index), role, "role"
    for name in environment.sites:
        yield "environment", ("sites", name), name, "site"
    for name, volume in environment.volumes.items():
        yield "environment", ("volumes", name, "role"), volume.role, "role"


def _flow_ends(_: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]) -> Iterator[Problem]:
    valid = [*PEERS, *parts["roles"]]
    for index, flow in enumerate(parts["flows"]):
        for key, value in (("from", flow.from_), ("to", flow.to)):
            if value not in valid:
                message = f"no peer named {value!r}"
                yield sources["network"].problem(("flows", index, key), message, nearest(value, valid))
        service = parts["services"].get(flow.service)
        reached = {"base", "every-host"} if service and service.role == "base" else {getattr(service, "role", None)}
        if service and flow.to not in reached and flow.to in parts["roles"]:
            message = f"service {flow.service!r} runs on {service.role!r}, not on {flow.to!r}"
            yield sources["network"].problem(("flows", index, "to"), message, service.role)


def _port_clashes(_: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]) -> Iterator[Problem]:
    taken: dict[tuple[str, int], str] = {}
    for name, service in parts["services"].items():
        if service.state == "retired":
            continue
        key = (service.role, service.port)
        other = taken.setdefault(key, name)
        if other not in (name, service.shares_port_with):
            message = f"port {service.port} of role {service.role!r} is taken by service {other!r}"
            yield sources["services"].problem(("services", name, "port"), message)


def _addresses(environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]) -> Iterator[Problem]:
    source, network = sources["environment"], environment.network
    places: list[tuple[Path, Any]] = [(("network", "gateway"), network.gateway), (("vip", "address"), environment.vip.address)]
    places += [(("hosts", name, "address"), host.address) for name, host in environment.hosts.items()]
    seen: dict[Any, Path] = {}
    for path, address in places:
        first = seen.setdefault(address, path)
        if first != path:
            yield source.problem(path, f"address {address} is taken by {'.'.join(map(str, first))}")
        outside = environment.substrate == "lab" and address not in network.subnet
        if outside:
            yield source.problem(path, f"address {address} is not in network.subnet {network.subnet}")


def _role_conflicts(
    environment: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    for name, host in environment.hosts.items():
        for role in host.roles:
            definition = parts["roles"].get(role)
            for other, reason in (definition.exclusive_with if definition else {}).items():
                if other in host.roles:
                    message = f"roles {role!r} and {other!r} cannot share a host: {reason}"
                    yield sources["environment"].problem(("hosts", name, "roles"), message)
        if len(set(host.roles)) != len(host.roles):
            yield sources["environment"].problem(("hosts", name, "roles"), "names a role twice")


def _needed_roles(environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]) -> Iterator[Problem]:
    carried: dict[str, int] = defaultdict(int)
    for host in environment.hosts.values():
        for role in host.roles:
            carried[role] += 0 if host.disabled else 1
    for role in ("edge", "app", "database", "monitoring", "logs", "control"):
        if not carried[role]:
            yield sources["environment"].problem(("hosts",), f"no enabled host carries the role {role!r}")


def _site_domains(
    environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name, site in environment.sites.items():
        for domain in [site.domain, *site.aliases]:
            other = seen.setdefault(domain, name)
            if other != name:
                message = f"domain {domain!r} is taken by site {other!r}"
                yield sources["environment"].problem(("sites", name), message)
    if len(environment.sites) != 1:
        yield sources["environment"].problem(("sites",), "exactly one site is supported in this release")


def _volumes(environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]) -> Iterator[Problem]:
    seen: dict[tuple[str, str], str] = {}
    for name, volume in environment.volumes.items():
        other = seen.setdefault((volume.role, volume.path), name)
        if other != name:
            message = f"path {volume.path} of role {volume.role!r} is taken by volume {other!r}"
            yield sources["environment"].problem(("volumes", name, "path"), message)
