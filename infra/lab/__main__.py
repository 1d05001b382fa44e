# SPDX-License-Identifier: Apache-2.0
"""Pulumi program of the lab: the environment is the stack's name."""

from __future__ import annotations

from functools import partial
from typing import Any

import pulumi

from infra.lab import program
from infra.lab.outputs import GivenSecret, export_secrets, make_secrets
from infra.lab.resources import Host, Image, Network, Secret, Volume
from infra.spec import Platform, SpecError, load


def main(platform: Platform) -> None:
    """Declare everything the platform needs, and export how to reach it."""
    lab = platform.name
    about = program.network(platform)
    network = Network("network", lab=lab, **about)
    secrets = make_secrets(platform)
    below = pulumi.ResourceOptions(depends_on=[network])
    volumes = [
        Volume(plan.name, lab=lab, name=plan.name, size_gib=plan.size_gib, shared=plan.shared, opts=below)
        for plan in program.volumes(platform)
    ]
    images = _images(platform, below, about["cache_port"])
    plans = program.volumes(platform)
    keys = {}
    for name, host in platform.hosts.items():
        wanted = {mount["volume"] for mount in program.mounts(host)}
        needs = [volume for volume, plan in zip(volumes, plans, strict=True) if plan.name in wanted]
        image = images[program.image_of(host, program.images(platform))].content
        key = Secret(f"host-key-{name}", name=f"host-key-{name}", kind="ssh-key")
        inputs = {
            **_described(platform, name),
            "cacheUrl": network.cache,
            "image": image,
            "authorizedKey": secrets[program.OPERATOR_KEY].public,
            "hostKeyPrivate": key.confidential,
        }
        keys[name] = Host(name, inputs, opts=pulumi.ResourceOptions(depends_on=[network, *needs])).host_key
    _export(platform, keys, secrets)


def _described(platform: Platform, name: str) -> dict[str, Any]:
    """Return the inputs of a host that the description alone decides."""
    host, about = platform.hosts[name], program.network(platform)
    return {
        "lab": platform.name,
        "name": name,
        "address": str(host.address),
        "subnet": about["subnet"],
        "gateway": about["gateway"],
        "memoryMib": host.size.memory_mib,
        "cpus": host.size.cpus,
        "mounts": program.mounts(host),
    }


def _images(platform: Platform, below: pulumi.ResourceOptions, port: int) -> dict[str, Image]:
    images: dict[str, Image] = {}
    for plan in program.images(platform):
        base = images[plan.base].content if plan.base else ""
        images[plan.name] = Image(
            f"image-{plan.name}",
            lab=platform.name,
            name=plan.name,
            suite=platform.environment.suite,
            packages=list(plan.packages),
            base=base,
            cache_port=port,
            opts=below,
        )
    return images


def _export(
    platform: Platform, keys: dict[str, pulumi.Output[str]], secrets: dict[str, Secret | GivenSecret]
) -> None:
    pulumi.export("fleet", pulumi.Output.all(**keys).apply(partial(program.fleet, platform)))
    export_secrets(platform, secrets)


try:
    description = load(pulumi.get_stack())
except SpecError as error:  # the person's input, not this program, is wrong: no traceback
    raise pulumi.RunError(str(error)) from error
main(description)
