# SPDX-License-Identifier: Apache-2.0
"""The provider's schema, derived from the core's models."""

from __future__ import annotations

from typing import Any

from infra.lab.core.model import Model
from infra.lab.provider.kinds import KINDS

VERSION = "0.1.0"

_TYPES = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean"}


def schema() -> dict[str, Any]:
    """The Pulumi package schema of this provider."""
    resources = {}
    for token, kind in KINDS.items():
        resources[token] = {
            "description": (kind.spec.__doc__ or "").strip(),
            "inputProperties": _properties(kind.spec, kind.secret),
            "requiredInputs": _required(kind.spec),
            "properties": _properties(kind.state, kind.secret),
            "required": sorted(_properties(kind.state, kind.secret)),
        }
    return {
        "name": "lab",
        "version": VERSION,
        "displayName": "Perennial lab",
        "description": "Full Debian systems on one Linux machine.",
        "license": "Apache-2.0",
        "resources": resources,
    }


def _properties(model: type[Model], secret: frozenset[str]) -> dict[str, Any]:
    described = model.model_json_schema(by_alias=True).get("properties", {})
    return {
        name: {**_type(about), **({"secret": True} if name in secret else {})}
        for name, about in described.items()
    }


def _required(model: type[Model]) -> list[str]:
    return sorted(model.model_json_schema(by_alias=True).get("required", []))


def _type(about: dict[str, Any]) -> dict[str, Any]:
    if about.get("type") == "array":
        return {"type": "array", "items": _type(about.get("items", {}))}
    if "$ref" in about:  # a mount: two strings
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return {"type": _TYPES.get(about.get("type", "string"), "string")}
