#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's half of internal certificates: makes keys and requests, keeps files; the action plugin signs."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DOCUMENTATION = """
module: internal_certificate
short_description: certificates of the internal authority
description:
  - Keeps C(<name>.crt), C(<name>.key), C(<name>.pem), C(ca.crt) in one directory. Keys never leave the host.
  - Called through the action plugin of the same name, which signs on the controller.
options:
  certificates:
    description: name, sans (first one is the common name), and group, which may read the key (root)
    type: list
    elements: dict
    required: true
  directory: {description: where the files are, type: path, default: /etc/perennial/tls}
  phase:
    description: set by the action plugin
    type: str
    default: inspect
    choices: [inspect, request, install]
  authority: {description: set by the action plugin, type: str, required: true}
"""


class Certificate:
    """The files of one certificate."""

    def __init__(self, directory: Path, name: str, group: str) -> None:
        self.name = name
        self.group = group
        self.crt, self.key, self.pem, self.pending = (
            directory / f"{name}.{suffix}" for suffix in ("crt", "key", "pem", "key.pending")
        )

    def inspect(self) -> dict[str, Any]:
        """Return leaf and public key as PEM ('' where missing) and whether all files are right."""
        leaf, key = _text(self.crt), _text(self.key)
        return {"leaf": leaf, "public_key": _public(key), "files_right": self._files_right(leaf, key)}

    def _files_right(self, leaf: str, key: str) -> bool:
        try:
            group = grp.getgrnam(self.group).gr_gid
        except KeyError:
            return False
        rights = {self.crt: (0, 0o644), self.key: (group, 0o640), self.pem: (group, 0o640)}
        return _text(self.pem) == leaf + key and all(_has(path, *right) for path, right in rights.items())

    def request(self, common_name: str) -> str:
        """Make a new key beside the present one and return a request for it, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        pkcs8 = serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption())
        _write(self.pending, pem.decode(), 0, 0o600)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name[:64])])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def install(self, leaf: str) -> None:
        """Write all files for `leaf`, with the pending key where the leaf belongs to it."""
        wanted = x509.load_pem_x509_certificate(leaf.encode()).public_key()
        keys = [text for text in (_text(self.pending), _text(self.key)) if text]
        key = next((text for text in keys if _private(text).public_key() == wanted), None)
        if key is None:
            raise ValueError(f"{self.name}: the certificate belongs to no key of this host")
        group = grp.getgrnam(self.group).gr_gid
        # Key before certificate: whoever reads between the two writes sees a mismatch and keeps what it has.
        _write(self.key, key, group, 0o640)
        _write(self.crt, leaf, 0, 0o644)
        _write(self.pem, leaf + key, group, 0o640)
        self.pending.unlink(missing_ok=True)


def _private(text: str) -> Any:
    return serialization.load_pem_private_key(text.encode(), password=None)


def _public(key: str) -> str:
    try:
        public = _private(key).public_key()
    except ValueError:
        return ""
    subject = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(public.public_bytes(serialization.Encoding.PEM, subject).decode())


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""


def _has(path: Path, group: int, mode: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode)) == (0, group, mode)


def _write(path: Path, text: str, group: int, mode: int) -> None:
    """Replace a file at once; it is never readable by more than it should be."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchown(file.fileno(), 0, group)
            os.fchmod(file.fileno(), mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Carry out one phase and return its result."""
    directory = Path(module.params["directory"])
    items = [
        (Certificate(directory, item["name"], item["group"]), item) for item in module.params["certificates"]
    ]
    authority = directory / "ca.crt"
    if module.params["phase"] == "inspect":
        right = _text(authority) == module.params["authority"] and _has(authority, 0, 0o644)
        return {"certificates": {one.name: one.inspect() for one, _ in items}, "authority_right": right}
    directory.mkdir(mode=0o755, exist_ok=True)
    if module.params["phase"] == "request":
        return {"changed": True, "requests": {one.name: one.request(item["sans"][0]) for one, item in items}}
    _write(authority, module.params["authority"], 0, 0o644)
    for one, item in items:
        one.install(item["leaf"])
    return {"changed": True}


def main() -> None:
    """Run as an Ansible module."""
    one = {
        "name": {"type": "str", "required": True},
        "sans": {"type": "list", "elements": "str", "required": True},
        "group": {"type": "str", "default": "root"},
        "leaf": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            "phase": {"type": "str", "default": "inspect", "choices": ["inspect", "request", "install"]},
            "directory": {"type": "path", "default": "/etc/perennial/tls"},
            "authority": {"type": "str", "required": True, "no_log": False},
            "certificates": {"type": "list", "elements": "dict", "options": one, "required": True},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except (OSError, ValueError, KeyError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
