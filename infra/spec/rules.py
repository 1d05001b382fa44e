# SPDX-License-Identifier: Apache-2.0
"""Rules that cross entries and files: dangling names, clashes, addresses outside the network."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from infra.spec.alerting_rules import ALERTING_RULES
from infra.spec.errors import Problem, nearest
from infra.spec.network_rules import NETWORK_RULES
from infra.spec.substrate_rules import SUBSTRATE_RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from infra.spec.environment import Environment
    from infra.spec.source import Source

Path = tuple[str | int, ...]
Reference = tuple[str, Path, str, str]  # source, path, value, kind of the thing named


def broken_rules(
    environment: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> list[Problem]:
    """Return every rule broken by an environment and the platform files together."""
    checks: list[Callable[[Environment, Mapping[str, Any], Mapping[str, Source]], Iterator[Problem]]] = [
        _dangling_names,
        _port_clashes,
        _role_conflicts,
        _needed_roles,
        _site_domains,
        _volumes,
        _missing_secrets,
        _shared_keys,
        _small_hosts,
        *NETWORK_RULES,
        *SUBSTRATE_RULES,
        *ALERTING_RULES,
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
    yield from _service_references(parts["services"])
    yield from _task_references(parts["tasks"])
    yield from _ownership_references(parts)
    for index, flow in enumerate(parts["flows"]):
        if flow.service and flow.to not in ("package-cache", "mail-relay"):
            yield "network", ("flows", index, "service"), flow.service, "service"


def _service_references(services: Mapping[str, Any]) -> Iterator[Reference]:
    for name, service in services.items():
        at = ("services", name)
        yield "services", (*at, "role"), service.role, "role"
        yield "services", (*at, "owner"), service.owner, "team"
        if service.slo:
            yield "services", (*at, "slo"), service.slo, "SLO"
        if service.shares_port_with:
            yield "services", (*at, "shares_port_with"), service.shares_port_with, "service"


def _task_references(tasks: Mapping[str, Any]) -> Iterator[Reference]:
    for name, task in tasks.items():
        at = ("tasks", name)
        yield "schedule", (*at, "plan"), task.plan, "plan clause"
        yield "schedule", (*at, "owner"), task.owner, "team"
        key = "role" if task.hosts.role else "one_of"
        yield "schedule", (*at, "hosts", key), task.hosts.role or task.hosts.one_of, "role"


def _ownership_references(parts: Mapping[str, Any]) -> Iterator[Reference]:
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


def _environment_references(environment: Environment) -> Iterator[Reference]:
    for name, host in environment.hosts.items():
        yield "environment", ("hosts", name, "size"), host.size, "size"
        for index, role in enumerate(host.roles):
            yield "environment", ("hosts", name, "roles", index), role, "role"
    for name in environment.sites:
        yield "environment", ("sites", name), name, "site"
    for name, volume in environment.volumes.items():
        yield "environment", ("volumes", name, "role"), volume.role, "role"


def _port_clashes(
    _: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    taken: dict[tuple[str, int], str] = {}
    for name, service in parts["services"].items():
        if service.state == "retired":
            continue
        shared = parts["services"].get(service.shares_port_with)
        if shared and (shared.role, shared.port) != (service.role, service.port):
            message = (
                f"service {service.shares_port_with!r} is {shared.role}:{shared.port}, not this role and port"
            )
            yield sources["services"].problem(("services", name, "shares_port_with"), message)
        key = (service.role, service.port)
        other = taken.setdefault(key, name)
        if other not in (name, service.shares_port_with):
            message = f"port {service.port} of role {service.role!r} is taken by service {other!r}"
            yield sources["services"].problem(("services", name, "port"), message)


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


def _needed_roles(
    environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
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
            if domain in seen:
                message = f"domain {domain!r} is taken by site {seen[domain]!r}"
                yield sources["environment"].problem(("sites", name), message)
            seen[domain] = name
    if len(environment.sites) != 1:
        yield sources["environment"].problem(("sites",), "exactly one site is supported in this release")


def _volumes(
    environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    seen: dict[tuple[str, str], str] = {}
    for name, volume in environment.volumes.items():
        other = seen.setdefault((volume.role, volume.path), name)
        if other != name:
            message = f"path {volume.path} of role {volume.role!r} is taken by volume {other!r}"
            yield sources["environment"].problem(("volumes", name, "path"), message)


# roles, substrates and the fleet reader take these by name
NEEDED_SECRETS = (
    "authority",
    "ssh-operator",
    "ssh-control",
    "db-admin",
    "db-replication",
    "cache-agent",
    "deadman",
)
# MiB. app: two PHP workers beside OPcache and nginx (infra/spec/sizing.py). The others are chosen,
# not measured: 256 for InnoDB, Prometheus with Alertmanager, one Ansible run over the fleet, each with room.
LEAST_MEMORY_MIB = {"app": 400, "database": 512, "monitoring": 512, "control": 512}


def _missing_secrets(
    _: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    for name in NEEDED_SECRETS:
        if name not in parts["secrets"]:
            yield sources["secrets"].problem(("secrets",), f"secret {name!r} is missing")


def _shared_keys(
    _: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, person in parts["people"].items():
        for index, key in enumerate(person.ssh_keys):
            other = owners.setdefault(key.split()[1], name)
            if other != name:
                path = ("people", name, "ssh_keys", index)
                yield sources["people"].problem(
                    path, f"is the key of {other!r} too; audit lines name one person a key"
                )


def _small_hosts(
    environment: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    for name, host in environment.hosts.items():
        size = parts["sizes"].get(host.size)
        needed = sum(LEAST_MEMORY_MIB.get(role, 0) for role in host.roles)
        if size and size.memory_mib < needed:
            message = f"size {host.size!r} has {size.memory_mib} MiB; its roles need {needed}"
            yield sources["environment"].problem(("hosts", name, "size"), message)
