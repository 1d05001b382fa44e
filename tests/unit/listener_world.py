# SPDX-License-Identifier: Apache-2.0
"""For tests of programs that listen over HTTPS on hosts: how they are loaded, and a certificate."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.spec import CHECKOUT
from tests.programs import program

if TYPE_CHECKING:
    from pathlib import Path

NAME = "host-1.lab.internal"


def load(role: str, name: str) -> Any:
    """Return a program of a role as a module; on hosts it lies beside what it imports."""
    for folder in (f"roles/{role}/files", "roles/base/files"):
        if str(CHECKOUT / folder) not in sys.path:
            sys.path.append(str(CHECKOUT / folder))
    return program(f"roles/{role}/files/{name}.py")


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate that is its own authority, and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
    builder = builder.not_valid_after(now + timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "crt").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    (folder / "key").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    return folder / "crt", folder / "key"
