# SPDX-License-Identifier: Apache-2.0
"""Reading of inventories/ into one Platform; everything is validated before anything is returned."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from infra.spec import platform_files as files
from infra.spec.environment import Environment
from infra.spec.errors import Problem, SpecError, nearest
from infra.spec.model import Host, Platform, PlatformSite, SecretSpec, VolumeMount
from infra.spec.rules import broken_rules
from infra.spec.source import Source, read

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parents[2]
INVENTORIES = CHECKOUT / "inventories"

# file stem → top-level key → class of one entry
PLATFORM_FILES: dict[str, dict[str, type[BaseModel]]] = {
    "roles": {"roles": files.Role},
    "sizes": {"sizes": files.Size},
    "services": {"services": files.Service},
    "network": {"flows": files.Flow},
    "secrets": {"secrets": files.Secret},
    "sites": {"sites": files.Site},
    "slos": {"slos": files.Slo},
    "people": {"teams": files.Team, "people": files.Person},
    "schedule": {"tasks": files.Task},
    "plan": {"clauses": files.Clause},
}

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
        raise SpecError([Problem(f"inventories/{environment}.yml", 0, "", message, nearest(environment, known))])
    sources, parts = _read_platform_files(inventories)
    source = read(inventories / f"{environment}.yml", f"inventories/{environment}.yml")
    sources["environment"] = source
    parsed = _parse(source, (), source.data, TypeAdapter(Environment))
    problems = broken_rules(parsed, parts, sources)
    if parsed.environment != environment:
        problems.append(source.problem(("environment",), f"must be {environment!r}, as the file is named"))
    if problems:
        raise SpecError(problems)
    return _assemble(parsed, parts)


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
        shape: Any = list[kind] if key == "flows" else dict[files.PlanId if key == "clauses" else files.Name, kind]  # type: ignore[valid-type]
        parsed[key] = _parse(source, (key,), source.data[key], TypeAdapter(shape))
    return parsed


def _parse(source: Source, at: tuple[str, ...], data: Any, adapter: TypeAdapter[Entry]) -> Entry:
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        raise SpecError([_translate(source, at, detail, data) for detail in error.errors()]) from error


def _translate(source: Source, at: tuple[str, ...], detail: Any, data: Any) -> Problem:
    """Turn one pydantic error into a problem with place and nearest valid word."""
    where = tuple(part for part in detail["loc"] if part != "[key]")
    path = at + where
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        valid = _keys_near(source, path)
        return source.problem(path, "unknown key", nearest(str(path[-1]), valid))
    if detail["type"] == "missing":
        return source.problem(path[:-1], f"key {str(path[-1])!r} is missing")
    if detail["type"] == "literal_error":
        allowed = [word.strip("'") for word in str(detail["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
        return source.problem(path, f"must be one of: {', '.join(allowed)}", nearest(str(detail["input"]), allowed))
    given = detail["input"]
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return source.problem(path, message + shown)


def _keys_near(source: Source, path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the class at `path` knows, found by its depth in the file."""
    stem = source.name.rsplit("/", 1)[-1].removesuffix(".yml")
    model: Any = PLATFORM_FILES.get(stem, {}).get(str(path[0])) if len(path) > 1 else None
    rest = path[2:-1]
    if "platform/" not in source.name:
        model, rest = Environment, path[:-1]
    for part in rest:
        model = _descend(model, part)
    fields = getattr(model, "model_fields", {})
    return [field.alias or name for name, field in fields.items()]


def _descend(model: Any, part: str | int) -> Any:
    fields = getattr(model, "model_fields", None)
    annotation = fields[str(part)].annotation if fields and str(part) in fields else model
    for candidate in [annotation, *getattr(annotation, "__args__", ())]:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


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
            VolumeMount(volume if entry.shared else f"{volume}-{name}", entry.path, entry.size_gib, entry.shared)
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
