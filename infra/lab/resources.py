# SPDX-License-Identifier: Apache-2.0
"""The lab's resources as Pulumi programs declare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi


class _LabResource(pulumi.CustomResource):
    def __init__(
        self,
        kind: str,
        name: str,
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
        opts: pulumi.ResourceOptions | None,
        secret: Sequence[str] = (),
    ) -> None:
        options = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(additional_secret_outputs=list(secret))
        )
        super().__init__(f"lab:index:{kind}", name, {**dict.fromkeys(outputs), **inputs}, options)


class Network(_LabResource):
    """A bridge with an address of the machine and a package cache; the only network that its hosts reach.

    Args:
        resource_name: the resource's name in the program.
        lab: the lab's name.
        subnet: its private IPv4 network.
        gateway: the machine's own address there.
        cache_port: TCP port of the package cache.
        opts: Pulumi's options.
    """

    cache_url: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        lab: pulumi.Input[str],
        subnet: pulumi.Input[str],
        gateway: pulumi.Input[str],
        cache_port: pulumi.Input[int],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {"lab": lab, "subnet": subnet, "gateway": gateway, "cachePort": cache_port}
        super().__init__("Network", resource_name, inputs, ("bridge", "cacheUrl"), opts)

    @property
    def cache(self) -> pulumi.Output[str]:
        """The package cache's URL as hosts see it."""
        return _output(self, "cacheUrl")


class Image(_LabResource):
    """A file tree for hosts, named by the hash of its definition.

    Args:
        resource_name: the resource's name in the program.
        lab: the lab that uses it.
        name: for people; not part of the hash.
        suite: Debian's release.
        packages: Debian packages.
        base: hash of the image below, or nothing for a base system.
        cache_port: TCP port of the package cache.
        opts: Pulumi's options.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        lab: pulumi.Input[str],
        name: pulumi.Input[str],
        suite: pulumi.Input[str],
        packages: pulumi.Input[Sequence[str]] = (),
        base: pulumi.Input[str] = "",
        cache_port: pulumi.Input[int],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "lab": lab,
            "name": name,
            "suite": suite,
            "packages": packages,
            "base": base,
            "cachePort": cache_port,
        }
        super().__init__("Image", resource_name, inputs, ("hash",), opts)

    @property
    def content(self) -> pulumi.Output[str]:
        """The image's hash."""
        return _output(self, "hash")


class Volume(_LabResource):
    """A data volume with a file system of its own.

    Args:
        resource_name: the resource's name in the program.
        lab: the lab's name.
        name: unique in the lab.
        size_gib: size in GiB; it can grow.
        shared: whether several hosts mount it.
        opts: Pulumi's options.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        lab: pulumi.Input[str],
        name: pulumi.Input[str],
        size_gib: pulumi.Input[int],
        shared: pulumi.Input[bool] = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {"lab": lab, "name": name, "sizeGib": size_gib, "shared": shared}
        super().__init__("Volume", resource_name, inputs, ("path",), opts)


class Secret(_LabResource):
    """A value generated once and kept, encrypted, in the state.

    Args:
        resource_name: the resource's name in the program.
        name: the secret's name.
        kind: password, token, ssh-key or ca.
        length: characters (password, token).
        permitted_names: DNS suffixes that a ca may sign for.
        version: another number makes another value.
        opts: Pulumi's options.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        kind: pulumi.Input[str],
        length: pulumi.Input[int] = 32,
        permitted_names: pulumi.Input[Sequence[str]] = (),
        version: pulumi.Input[int] = 1,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "name": name,
            "kind": kind,
            "length": length,
            "permittedNames": permitted_names,
            "version": version,
        }
        super().__init__("Secret", resource_name, inputs, ("value", "public"), opts, secret=("value",))

    @property
    def confidential(self) -> pulumi.Output[str]:
        """The value: password, token or private key."""
        return _output(self, "value")

    @property
    def public(self) -> pulumi.Output[str]:
        """The public key or the certificate; empty for other kinds."""
        return _output(self, "public")


class Host(_LabResource):
    """One Debian system.

    Args:
        resource_name: the resource's name in the program.
        inputs: the properties of ``infra.lab.core.model.HostSpec`` in camelCase.
        opts: Pulumi's options.
    """

    def __init__(
        self,
        resource_name: str,
        inputs: Mapping[str, pulumi.Input[Any]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("Host", resource_name, inputs, ("hostKey",), opts, secret=("hostKeyPrivate",))

    @property
    def host_key(self) -> pulumi.Output[str]:
        """The public SSH host key."""
        return _output(self, "hostKey")


def _output(resource: pulumi.Resource, name: str) -> pulumi.Output[str]:
    found: pulumi.Output[str] = pulumi.get(resource, name)
    return found
