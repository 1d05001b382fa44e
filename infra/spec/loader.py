# SPDX-License-Identifier: Apache-2.0
"""Reading of inventories/ into one Platform; everything is validated before anything is returned."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from infra.spec import platform_files as files
from infra.spec.environment import Environment
from infra.spec.errors import Problem, SpecError, nearest
from infra.spec.model import Host, Platform, PlatformSite, SecretSpec, VolumeMount
from infra.spec.network_rules import overlapping_labs
from infra.spec.rules import broken_rules
from infra.spec.source import Source, read
from infra.spec.translate import PLATFORM_FILES, translate
from infra.spec.types import Name, PlanId

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parents[2]
INVENTORIES = CHECKOUT / "inventories"

Entry = TypeVar("Entry")


def environments(inventories: Path = INVENTORIES) -> tuple[str, ...]:
    """Return the names of the environments that have a file, sorted."""
    return tuple(sorted(path.stem for path in inventories.glob("*.yml")))


def load(environment: str, inventories: Path = INVENTORIES) -> Platform:
    """Return the validated platform of `environment`.

    Raises SpecError naming file, line, key and nearest valid value of every problem found.
    """
    known = environments(inventories)
    if environment not in known:
        message = f"no environment {environment!r}; there are: {', '.join(known) or 'none'}"
        raise SpecError(
            [Problem(f"inventories/{environment}.yml", 0, "", message, nearest(environment, known))]
        )
    sources, parts = _read_platform_files(inventories)
    source = read(inventories / f"{environment}.yml", f"inventories/{environment}.yml")
    sources["environment"] = source
    parsed = _parse(source, (), source.data, TypeAdapter(Environment))
    problems = broken_rules(parsed, parts, sources)
    problems += overlapping_labs(parsed, source, _other_environments(environment, known, inventories))
    if parsed.environment != environment:
        problems.append(source.problem(("environment",), f"must be {environment!r}, as the file is named"))
    if problems:
        raise SpecError(problems)
    return _assemble(parsed, parts)


def _other_environments(environment: str, known: tuple[str, ...], inventories: Path) -> dict[str, Any]:
    """Return the raw data of the other environments; one that cannot be read has its own problem."""
    found = {}
    for name in known:
        if name != environment:
            with suppress(SpecError):
                found[name] = read(inventories / f"{name}.yml", f"inventories/{name}.yml").data
    return found


def _read_platform_files(inventories: Path) -> tuple[dict[str, Source], dict[str, Any]]:
    sources: dict[str, Source] = {}
    parts: dict[str, Any] = {}
    problems: list[Problem] = []
    for stem, sections in PLATFORM_FILES.items():
        try:
            source = read(inventories / "platform" / f"{stem}.yml", f"inventories/platform/{stem}.yml")
            sources[stem] = source
            parts.update(_parse_sections(source, sections))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return sources, parts


def _parse_sections(source: Source, sections: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    unknown = [key for key in source.data if key not in sections]
    missing = [key for key in sections if key not in source.data]
    problems = [source.problem((key,), "unknown key", nearest(key, sections)) for key in unknown]
    problems += [source.problem((), f"key {key!r} is missing") for key in missing]
    if problems:
        raise SpecError(problems)
    parsed = {}
    for key, kind in sections.items():
        entry: Any = kind
        shape: Any = list[entry] if key == "flows" else dict[_name_of(key), entry]  # type: ignore[misc]
        parsed[key] = _parse(source, (key,), source.data[key], TypeAdapter(shape))
    return parsed


def _name_of(section: str) -> Any:
    return PlanId if section == "clauses" else Name


def _parse(source: Source, at: tuple[str, ...], data: Any, adapter: TypeAdapter[Entry]) -> Entry:
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        raise SpecError([translate(source, at, detail) for detail in error.errors()]) from error


def _assemble(environment: Environment, parts: Mapping[str, Any]) -> Platform:
    sites = {
        name: PlatformSite(name, here.domain, tuple(here.aliases), parts["sites"][name])
        for name, here in environment.sites.items()
    }
    return Platform(
        environment=environment,
        hosts=MappingProxyType(_hosts(environment, parts["sizes"])),
        sites=MappingProxyType(sites),
        roles=MappingProxyType(parts["roles"]),
        sizes=MappingProxyType(parts["sizes"]),
        services=MappingProxyType(parts["services"]),
        flows=tuple(parts["flows"]),
        secrets=MappingProxyType(_secrets(parts["secrets"], tuple(sites))),
        secret_definitions=MappingProxyType(parts["secrets"]),
        slos=MappingProxyType(parts["slos"]),
        teams=MappingProxyType(parts["teams"]),
        people=MappingProxyType(parts["people"]),
        tasks=MappingProxyType(parts["tasks"]),
        plan=MappingProxyType(parts["clauses"]),
    )


def _hosts(environment: Environment, sizes: Mapping[str, files.Size]) -> dict[str, Host]:
    hosts = {}
    for name, machine in environment.hosts.items():
        volumes = tuple(
            VolumeMount(
                volume if entry.shared else f"{volume}-{name}", entry.path, entry.size_gib, entry.shared
            )
            for volume, entry in environment.volumes.items()
            if entry.role in machine.roles
        )
        hosts[name] = Host(
            name=name,
            address=str(machine.address),
            fqdn=f"{name}.{environment.internal_domain}",
            roles=("base", *[role for role in machine.roles if role != "base"]),
            size_name=machine.size,
            size=sizes[machine.size],
            volumes=volumes,
            disabled=machine.disabled,
            ssh_user=machine.ssh_user,
            ssh_port=machine.ssh_port,
        )
    return hosts


def _secrets(definitions: Mapping[str, files.Secret], sites: tuple[str, ...]) -> dict[str, SecretSpec]:
    made = {}
    for name, secret in definitions.items():
        for full in [f"{name}-{site}" for site in sites] if secret.per_site else [name]:
            made[full] = SecretSpec(full, secret.kind, secret.length, secret.title, tuple(secret.readers))
    return made
