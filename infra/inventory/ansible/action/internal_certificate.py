# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible action: certificates of the internal authority; its key stays here, a leaf's key on its host."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.inventory import FleetError, read_fleet

LIFETIME = timedelta(days=90)
RENEW_WHEN_LEFT = LIFETIME / 3
CLOCK_SKEW = timedelta(minutes=5)  # hosts may be a little behind the controller
MODULE = "internal_certificate"


def general_names(sans: list[str]) -> list[x509.GeneralName]:
    """Return `sans` as names of a certificate: addresses as such, everything else as DNS names."""
    names: list[x509.GeneralName] = []
    for san in sans:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(san)))
        except ValueError:
            names.append(x509.DNSName(san))
    return names


class Authority:
    """The internal authority, able to sign; made from PEM texts."""

    def __init__(self, certificate: str, key: str) -> None:
        self.certificate = x509.load_pem_x509_certificate(certificate.encode())
        self.pem = certificate.strip() + "\n"
        loaded = serialization.load_pem_private_key(key.encode(), password=None)
        if (
            not isinstance(loaded, ec.EllipticCurvePrivateKey)
            or loaded.public_key() != self.certificate.public_key()
        ):
            raise ValueError(
                "the secret 'authority' holds a key that is not its certificate's, or not an EC key"
            )
        self._key = loaded

    def reason_to_issue(self, leaf: str, public_key: str, sans: list[str], now: datetime) -> str:
        """Return why a host's certificate (PEM, or '') has to be issued anew, or '' where it may stay."""
        if not leaf or not public_key:
            return "missing"
        try:
            current = x509.load_pem_x509_certificate(leaf.encode())
            current.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return "not issued by the authority"
        if current.public_key() != serialization.load_pem_public_key(public_key.encode()):
            return "belongs to another key"
        names = current.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if set(names) != set(general_names(sans)):
            return "names differ"
        if current.not_valid_after_utc - now < RENEW_WHEN_LEFT:
            return "expires soon"
        return ""

    def sign(self, request: str, sans: list[str], now: datetime) -> str:
        """Return a certificate for the key of `request`, PEM, good for 90 days; its names are `sans`."""
        csr = x509.load_pem_x509_csr(request.encode())
        if not csr.is_signature_valid:
            raise ValueError("the host did not prove that it has the key of its request")
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, sans[0][:64])]))
            .issuer_name(self.certificate.subject)
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.SubjectAlternativeName(general_names(sans)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(csr.public_key()), critical=False)
            .add_extension(issuer_key, critical=False)
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_usage() -> x509.KeyUsage:
    unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign")
    also_unused = ("crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(digital_signature=True, **dict.fromkeys((*unused, *also_unused), False))


class ActionModule(ActionBase):
    """Inspect all certificates of a host in one call; issue and install only those that need it."""

    _VALID_ARGS = frozenset(("certificates", "directory"))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `changed` and `issued` (name to reason); in check mode nothing is made."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        wanted: list[dict[str, Any]] = self._task.args.get("certificates") or []
        authority = self._authority(variables["perennial"]["environment"]["name"])
        found = self._call("inspect", authority, wanted, variables)
        now = datetime.now(UTC)
        issued = {}
        for item in wanted:
            there = found["certificates"][item["name"]]
            reason = authority.reason_to_issue(there["leaf"], there["public_key"], item["sans"], now)
            if reason:
                issued[item["name"]] = reason
        mend = [item["name"] for item in wanted if not found["certificates"][item["name"]]["files_right"]]
        if not issued and not mend and found["authority_right"]:
            return {"changed": False, "issued": {}}
        if not self._task.check_mode:
            self._install(authority, wanted, found, issued, variables)
        return {"changed": True, "issued": issued, "mended": [name for name in mend if name not in issued]}

    def _authority(self, environment: str) -> Authority:
        try:
            secret = read_fleet(environment).secret("authority")
            return Authority(secret["certificate"], secret["key"])
        except (FleetError, ValueError, KeyError) as error:
            raise AnsibleActionFail(f"the internal authority cannot be used: {error}") from error

    def _install(
        self,
        authority: Authority,
        wanted: list[dict[str, Any]],
        found: dict[str, Any],
        issued: dict[str, str],
        variables: dict[str, Any],
    ) -> None:
        leaves = {name: there["leaf"] for name, there in found["certificates"].items()}
        if issued:
            new = [item for item in wanted if item["name"] in issued]
            requests = self._call("request", authority, new, variables)["requests"]
            now = datetime.now(UTC)
            leaves |= {
                item["name"]: authority.sign(requests[item["name"]], item["sans"], now) for item in new
            }
        self._call(
            "install", authority, [{**item, "leaf": leaves[item["name"]]} for item in wanted], variables
        )

    def _call(
        self, phase: str, authority: Authority, wanted: list[dict[str, Any]], variables: dict[str, Any]
    ) -> dict[str, Any]:
        arguments = {"phase": phase, "authority": authority.pem, "certificates": wanted}
        if "directory" in self._task.args:
            arguments["directory"] = self._task.args["directory"]
        result: dict[str, Any] = self._execute_module(MODULE, module_args=arguments, task_vars=variables)
        if result.get("failed"):
            raise AnsibleActionFail(f"{phase}: {result.get('msg', 'no message')}", result=result)
        return result
