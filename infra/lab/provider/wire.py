# SPDX-License-Identifier: Apache-2.0
"""Translates between the engine's property structs and plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

# Markers of Pulumi's wire format (pulumi/pulumi, sdk/go/common/resource/{sig,plugin}).
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a public constant of the protocol
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Properties = dict[str, Any]


def read(struct: struct_pb2.Struct) -> Properties:
    """Plain data of a struct; secrets lose their mark, values not known yet stay ``UNKNOWN``."""
    found: Properties = _unwrap(json_format.MessageToDict(struct))
    return found


def write(properties: Mapping[str, Any], secret: Iterable[str]) -> struct_pb2.Struct:
    """A struct of plain data in which the named properties are marked as secret."""
    hidden = set(secret)
    marked = {
        name: {_SIGNATURE: _SECRET, "value": value} if name in hidden else value
        for name, value in properties.items()
    }
    struct = struct_pb2.Struct()
    json_format.ParseDict(marked, struct)
    return struct


def has_unknown(value: Any) -> bool:
    """Whether a value is, or contains, something the engine does not know yet."""
    if isinstance(value, dict):
        return any(has_unknown(part) for part in value.values())
    if isinstance(value, list):
        return any(has_unknown(part) for part in value)
    return bool(value == UNKNOWN)


def _unwrap(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return _unwrap(value.get("value"))
        return {name: _unwrap(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_unwrap(part) for part in value]
    return value
