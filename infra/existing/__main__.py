# SPDX-License-Identifier: Apache-2.0
"""Pulumi program for machines that exist already: secrets and how to reach the hosts, nothing else."""

from __future__ import annotations

from functools import partial

import pulumi

from infra.existing import program
from infra.lab.outputs import export_secrets, make_secrets
from infra.spec import Platform, SpecError, load


def main(platform: Platform) -> None:
    """Generate the secrets once; no machine is reached or changed."""
    secrets = make_secrets(platform)
    pulumi.export("fleet", program.fleet(platform))
    pulumi.export("authorize", secrets["ssh-operator"].public.apply(partial(program.authorize, platform)))
    export_secrets(platform, secrets)


try:
    description = load(pulumi.get_stack())
except SpecError as error:  # the person's input, not this program, is wrong: no traceback
    raise pulumi.RunError(str(error)) from error
main(description)
