# SPDX-License-Identifier: Apache-2.0
"""Errors of the shape turned into problems: place in the file, nearest valid word, what is not built yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from infra.spec import platform_files as files
from infra.spec.environment import Environment
from infra.spec.errors import Problem, nearest

if TYPE_CHECKING:
    from infra.spec.source import Source

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

# last part of the key → values that the design names and this release does not have
NOT_BUILT_YET: dict[str, tuple[str, ...]] = {
    "substrate": ("aws",),
    "tls": ("acme", "files"),
    "mode": ("external",),
    "suite": ("forky",),
}


def translate(source: Source, at: tuple[str, ...], detail: Any) -> Problem:
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
        allowed = [
            word.strip("'") for word in str(detail["ctx"]["expected"]).replace(" or ", ", ").split(", ")
        ]
        return source.problem(
            path, f"must be one of: {', '.join(allowed)}", nearest(str(detail["input"]), allowed)
        )
    given = detail["input"]
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return source.problem(path, message + shown)


def _not_allowed(source: Source, path: tuple[str | int, ...], given: Any, allowed: list[str]) -> Problem:
    """Tell a value that is planned from one that is wrong: what is not built yet is refused by name."""
    valid = ", ".join(allowed)
    if given in NOT_BUILT_YET.get(str(path[-1]), ()):
        return source.problem(path, f"not built yet: {given}; valid: {valid}")
    return source.problem(path, f"must be one of: {valid}", nearest(str(given), allowed))


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
