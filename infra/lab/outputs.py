# SPDX-License-Identifier: Apache-2.0
"""Secrets as Pulumi makes and hands them over, for every substrate whose secrets this provider generates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pulumi

from infra.inventory.document import next_command, secret_document
from infra.lab.resources import Secret
from infra.spec import Platform


@dataclass(frozen=True)
class GivenSecret:
    """A value from outside, kept in Pulumi's configuration of the stack, encrypted."""

    confidential: pulumi.Output[str]
    public: pulumi.Output[str]


def make_secrets(platform: Platform) -> dict[str, Secret | GivenSecret]:
    """Declare every secret of the description; raise pulumi.RunError where one that is given is missing."""
    given = platform.environment.given_secrets
    return {
        name: _given(platform, name)
        if name in given
        else Secret(name, name=name, kind=spec.kind, length=spec.length or 32)
        for name, spec in platform.secrets.items()
    }


def _given(platform: Platform, name: str) -> GivenSecret:
    value = pulumi.Config().get_secret(name)
    if value is None:
        command = f"PULUMI_STACK={platform.name} pulumi config set --secret {name}"
        raise pulumi.RunError(f"secret {name!r} stands in given_secrets and has no value; next: {command}")
    return GivenSecret(value, pulumi.Output.from_input(""))


def export_secrets(platform: Platform, secrets: dict[str, Secret | GivenSecret]) -> None:
    """Export the values as one confidential output, and the next command."""
    documents = {}
    for name, secret in secrets.items():
        values = pulumi.Output.all(value=secret.confidential, public=secret.public)
        documents[name] = values.apply(partial(_document, platform.secrets[name].kind))
    pulumi.export("secrets", pulumi.Output.secret(documents))
    pulumi.export("next", next_command(platform))


def _document(kind: str, parts: dict[str, str]) -> dict[str, str]:
    return secret_document(kind, parts["value"], parts["public"])
