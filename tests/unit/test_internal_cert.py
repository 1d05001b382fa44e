# SPDX-License-Identifier: Apache-2.0
"""When a certificate is issued anew, and what the authority puts into it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from infra.inventory.ansible.action.internal_certificate import LIFETIME, Authority
from infra.lab.core.model import SecretSpec
from infra.lab.core.secrets import generate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = ["db-1.lab.internal", "db.lab.internal", "10.87.0.31"]


def make_authority() -> Authority:
    """Return an authority as a substrate generates it."""
    secret = generate(SecretSpec.model_validate({"name": "authority", "kind": "ca"}))
    return Authority(secret.public, secret.value)


class Leaf:
    """A key on a host, and its public half and request."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = serialization.PublicFormat.SubjectPublicKeyInfo
        self.public = self.key.public_key().public_bytes(serialization.Encoding.PEM, subject).decode()

    def request(self, name: str = "anything.else") -> str:
        """Return a request that asks for a name of the host's own choice."""
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = builder.add_extension(alternative, critical=False)
        request = builder.sign(self.key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(name="authority", scope="module")
def fixture_authority() -> Authority:
    """Return one authority."""
    return make_authority()


@pytest.fixture(name="leaf", scope="module")
def fixture_leaf() -> Leaf:
    """Return one host's key."""
    return Leaf()


def test_a_fresh_certificate_stays(authority: Authority, leaf: Leaf) -> None:
    """Otherwise every converge would reload every daemon."""
    pem = authority.sign(leaf.request(), NAMES, NOW)
    assert authority.reason_to_issue(pem, leaf.public, NAMES, NOW) == ""
    assert authority.reason_to_issue(pem, leaf.public, list(reversed(NAMES)), NOW) == ""


@pytest.mark.parametrize(
    ("left", "reason"),
    [(timedelta(days=31), ""), (timedelta(days=29), "expires soon"), (timedelta(days=-1), "expires soon")],
)
def test_a_third_of_the_lifetime_before_its_end_it_is_renewed(
    authority: Authority, leaf: Leaf, left: timedelta, reason: str
) -> None:
    """A control host may be away for weeks without anything expiring."""
    pem = authority.sign(leaf.request(), NAMES, NOW)
    assert authority.reason_to_issue(pem, leaf.public, NAMES, NOW + LIFETIME - left) == reason


def test_other_names_issuers_and_keys_are_reasons(authority: Authority, leaf: Leaf) -> None:
    """Each of these makes clients refuse the connection."""
    pem = authority.sign(leaf.request(), NAMES, NOW)
    assert authority.reason_to_issue("", leaf.public, NAMES, NOW) == "missing"
    assert authority.reason_to_issue(pem, "", NAMES, NOW) == "missing"
    assert authority.reason_to_issue(pem, leaf.public, NAMES[:2], NOW) == "names differ"
    assert authority.reason_to_issue(pem, Leaf().public, NAMES, NOW) == "belongs to another key"
    other = make_authority()
    assert other.reason_to_issue(pem, leaf.public, NAMES, NOW) == "not issued by the authority"
    assert authority.reason_to_issue("broken", leaf.public, NAMES, NOW) == "not issued by the authority"


def test_names_come_from_the_description_not_from_the_request(authority: Authority, leaf: Leaf) -> None:
    """A host that was broken into must not get another host's name."""
    pem = authority.sign(leaf.request("mon-1.lab.internal"), NAMES, NOW)
    names = x509.load_pem_x509_certificate(pem.encode()).extensions
    alternative = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternative.get_values_for_type(x509.DNSName) == NAMES[:2]
    assert [str(one) for one in alternative.get_values_for_type(x509.IPAddress)] == NAMES[2:]


def test_a_leaf_may_serve_and_ask_but_not_sign(authority: Authority, leaf: Leaf) -> None:
    """A leaf that could sign would be a second authority."""
    certificate = x509.load_pem_x509_certificate(authority.sign(leaf.request(), NAMES, NOW).encode())
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert constraints.critical
    assert not constraints.value.ca
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert set(extended) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    certificate.verify_directly_issued_by(authority.certificate)


def test_a_request_without_proof_of_its_key_is_refused(authority: Authority) -> None:
    """The signature of a request shows that whoever asks has the key."""
    text = Leaf().request().splitlines()
    body = bytearray("".join(text[1:-1]), "ascii")
    body[-12] = ord("A") if body[-12] != ord("A") else ord("B")
    forged = "\n".join([text[0], body.decode(), text[-1]])
    with pytest.raises(ValueError, match=r"key of its request|error parsing"):
        authority.sign(forged, NAMES, NOW)


def test_an_authority_with_a_foreign_key_is_refused() -> None:
    """Everything it signed would be rejected later, on every host at once."""
    one, two = (generate(SecretSpec.model_validate({"name": "authority", "kind": "ca"})) for _ in range(2))
    with pytest.raises(ValueError, match="not its certificate's"):
        Authority(one.public, two.value)
