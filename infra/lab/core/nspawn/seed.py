# SPDX-License-Identifier: Apache-2.0
"""What the provider writes into a host's file tree."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from infra.lab.core.errors import LabError
from infra.lab.core.model import HostSpec


def public_key(private: str) -> str:
    """The public half of an OpenSSH private key, as one line without comment."""
    try:
        key = serialization.load_ssh_private_key(private.encode(), password=None)
    except ValueError as error:
        raise LabError("hostKeyPrivate is not an OpenSSH private key without passphrase") from error
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )


def seed_owned(tree: Path, spec: HostSpec) -> None:
    """Write what always belongs to the provider: name, address, host key. Repeated at every start."""
    prefix = ipaddress.IPv4Network(spec.subnet).prefixlen
    _put(tree / "etc/hostname", f"{spec.name}\n")
    # Not another file name: Debian ships 80-container-host0.network, and the first name in order wins.
    _put(
        tree / "etc/systemd/network/10-host0.network",
        f"[Match]\nName=host0\n\n[Network]\nAddress={spec.address}/{prefix}\n"
        "DHCP=no\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
    )
    _put(tree / "etc/ssh/ssh_host_ed25519_key", spec.host_key_private, 0o600)
    _put(tree / "etc/ssh/ssh_host_ed25519_key.pub", f"{public_key(spec.host_key_private)}\n")


def seed_first(tree: Path, spec: HostSpec) -> None:
    """Write what a new host needs until roles manage it: names, package source, the operator's key."""
    _put(tree / "etc/hosts", f"127.0.0.1 localhost\n{spec.address} {spec.name}\n")
    _put(tree / "etc/apt/apt.conf.d/01proxy", f'Acquire::http::Proxy "{spec.cache_url}";\n')
    seed_key(tree, spec)


def seed_key(tree: Path, spec: HostSpec) -> None:
    """Give the operator's account its key."""
    home = tree / "home/ops"
    owner = home.stat()
    directory = home / ".ssh"
    directory.mkdir(mode=0o700, exist_ok=True)
    _put(directory / "authorized_keys", f"{spec.authorized_key.strip()}\n", 0o600)
    for path in (directory, directory / "authorized_keys"):
        os.chown(path, owner.st_uid, owner.st_gid)


def _put(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():  # a guest must not lead the machine's writes elsewhere
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
