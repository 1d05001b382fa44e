# SPDX-License-Identifier: Apache-2.0
"""Generated secrets are what their kind says, and never the same twice."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from infra.lab.core.model import SecretSpec
from infra.lab.core.nspawn.seed import public_key
from infra.lab.core.secrets import generate


@pytest.mark.parametrize("kind", ["password", "token", "ssh-key", "ca"])
def test_no_value_comes_twice_and_none_shows_in_a_repr(kind: str) -> None:
    """A repr ends up in logs."""
    first, second = (generate(SecretSpec.model_validate({"name": "x", "kind": kind})) for _ in range(2))
    assert first.value != second.value
    assert first.value not in repr(first)


def test_a_password_has_its_length_and_alphabet() -> None:
    """A site may refuse others."""
    value = generate(SecretSpec(name="x", kind="password", length=40, alphabet="ab")).value
    assert len(value) == 40
    assert set(value) == {"a", "b"}


def test_a_token_is_hexadecimal_of_its_length() -> None:
    """Odd lengths too."""
    value = generate(SecretSpec(name="x", kind="token", length=33)).value
    assert len(value) == 33
    int(value, 16)


def test_an_ssh_key_fits_its_public_half() -> None:
    """The public half is pinned in known_hosts."""
    state = generate(SecretSpec(name="x", kind="ssh-key"))
    assert state.public == f"{public_key(state.value)} x"


def test_an_authority_signs_only_leaves_of_permitted_names_for_ten_years() -> None:
    """A stolen key must not make authorities, nor certificates for other people's names."""
    state = generate(SecretSpec(name="x", kind="ca", permitted_names=("lab.internal",)))
    certificate = x509.load_pem_x509_certificate(state.public.encode())
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    names = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert names.value.permitted_subtrees == [x509.DNSName("lab.internal")]
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc > dt.timedelta(days=3650)
    key = certificate.public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    assert isinstance(key.curve, SECP256R1)
    certificate.verify_directly_issued_by(certificate)
