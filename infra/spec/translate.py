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

# patterns of infra/spec/types.py, environment.py and platform_files.py in words
SHAPES = {
    r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$": "lower-case words and digits joined by dashes",
    r"^[a-z]+\.[a-z]+(-[a-z]+)*$": "area.clause in lower-case words, like tech.backup",
    r"^[A-Z][A-Za-z0-9]+$": "the name of an alert, like TaskFailed",
    r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$": "a domain in lower case, like www.example.org",
    r"^[0-9a-f]{64}$": "a sha256 of 64 hexadecimal digits",
    r"^/[A-Za-z0-9._/-]*[A-Za-z0-9]$": "an absolute path without a slash at its end",
    r"^~?/[A-Za-z0-9._/-]*[A-Za-z0-9]$": "an absolute path, or one that begins with ~/",
    r"^ssh-ed25519 [A-Za-z0-9+/]{68}$": (
        "an ed25519 host key without the address, as in: ssh-keyscan -t ed25519 HOST | cut -d' ' -f2-"
    ),
    r"^[a-z_][a-z0-9_-]{0,31}$": "the name of a Linux account",
    r"^[a-z0-9][a-z0-9+.-]+$": "the name of a Debian package",
    r"^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._/~-]*)?$": "an address that begins with https://",
    r"^[a-z0-9._-]+@([a-z0-9-]+\.)+[a-z]{2,}$": "a mail address in lower case, like alerts@example.org",
    r"^[a-z][a-z0-9]{0,9}$": "at most 10 lower-case letters and digits",
    r"^(ssh-ed25519|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/=]+( \S+)?$": "an ed25519 public key",
}


def translate(source: Source, at: tuple[str, ...], detail: Any) -> Problem:
    """Turn one pydantic error into a problem with place and nearest valid word."""
    path = at + tuple(part for part in detail["loc"] if part != "[key]")
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return source.problem(path, "unknown key", nearest(str(path[-1]), _keys_near(source, path)))
    if kind == "missing":
        return source.problem(path[:-1], f"key {str(path[-1])!r} is missing")
    if kind == "literal_error":
        expected = str(detail["ctx"]["expected"]).replace(" or ", ", ")
        return _not_allowed(source, path, given, [word.strip("'") for word in expected.split(", ")])
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        message = "must be " + SHAPES.get(
            detail["ctx"]["pattern"], f"of the shape {detail['ctx']['pattern']}"
        )
    if kind == "too_short":
        return source.problem(path, "must not be empty")
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return source.problem(path, message + shown)


def _not_allowed(source: Source, path: tuple[str | int, ...], given: Any, allowed: list[str]) -> Problem:
    """Tell a value that is planned from one that is wrong: what is not built yet is refused by name."""
    key, valid = str(path[-1]), ", ".join(allowed)
    if given in NOT_BUILT_YET.get(key, ()):
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
