# SPDX-License-Identifier: Apache-2.0
"""Generates secrets. Nothing here writes them anywhere: the engine keeps them, encrypted."""

from __future__ import annotations

import datetime as dt
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from infra.lab.core.model import SecretSpec, SecretState

_AUTHORITY_LIFE = dt.timedelta(days=3652)  # ten years: longer than a lab; a role renews the leaves
_CLOCK_SKEW = dt.timedelta(hours=1)


def generate(spec: SecretSpec) -> SecretState:
    """Make a new value of the kind that is asked for.

    A password has ``length`` characters of ``alphabet``, a token ``length`` hexadecimal digits; an ssh-key
    is Ed25519 in OpenSSH form; a ca is an EC P-256 authority that signs itself, with path length 0, and
    limited to ``permitted_names`` (DNS suffixes) when there are any.
    """
    value, public = _GENERATORS[spec.kind](spec)
    return SecretState(**dict(spec), value=value, public=public)


def _password(spec: SecretSpec) -> tuple[str, str]:
    return "".join(secrets.choice(spec.alphabet) for _ in range(spec.length)), ""


def _token(spec: SecretSpec) -> tuple[str, str]:
    return secrets.token_hex((spec.length + 1) // 2)[: spec.length], ""


def _ssh_key(spec: SecretSpec) -> tuple[str, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} {spec.name}"


def _authority(spec: SecretSpec) -> tuple[str, str]:
    key = generate_private_key(SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Perennial"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Perennial {spec.name}"),
        ]
    )
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_authority_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if spec.permitted_names:
        permitted = [x509.DNSName(suffix) for suffix in spec.permitted_names]
        builder = builder.add_extension(x509.NameConstraints(permitted, None), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _authority_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


_GENERATORS = {"password": _password, "token": _token, "ssh-key": _ssh_key, "ca": _authority}
