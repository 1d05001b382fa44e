# SPDX-License-Identifier: Apache-2.0
"""Secrets as Pulumi makes and hands them over, for every substrate whose secrets this provider generates."""

from __future__ import annotations

from functools import partial

import pulumi

from infra.inventory.document import next_command, secret_document
from infra.lab.resources import Secret
from infra.spec import Platform


def make_secrets(platform: Platform) -> dict[str, Secret]:
    """Declare every secret of the description."""
    return {
        name: Secret(name, name=name, kind=spec.kind, length=spec.length or 32)
        for name, spec in platform.secrets.items()
    }


def export_secrets(platform: Platform, secrets: dict[str, Secret]) -> None:
    """Export the values as one confidential output, and the next command."""
    documents = {}
    for name, secret in secrets.items():
        values = pulumi.Output.all(value=secret.confidential, public=secret.public)
        documents[name] = values.apply(partial(_document, platform.secrets[name].kind))
    pulumi.export("secrets", pulumi.Output.secret(documents))
    pulumi.export("next", next_command(platform))


def _document(kind: str, parts: dict[str, str]) -> dict[str, str]:
    return secret_document(kind, parts["value"], parts["public"])
