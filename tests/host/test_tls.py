# SPDX-License-Identifier: Apache-2.0
"""Certificates as clients judge them: right name and authority accepted, wrong ones refused, keys closed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

if TYPE_CHECKING:
    from testinfra.host import Host as RemoteHost

    from infra.spec import Host, Platform

pytestmark = pytest.mark.role("base")

DIRECTORY = "/etc/perennial/tls"
OTHER_AUTHORITY = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 "
    "-subj '/CN=another authority' -keyout /dev/null"
)


def names_of(spec_host: Host, platform: Platform) -> dict[str, str]:
    """Return certificate → a name that it has to carry."""
    names = {"host": spec_host.fqdn}
    if "edge" in spec_host.roles:
        names |= {f"site-{site.id}": site.domain for site in platform.sites.values()}
    if "database" in spec_host.roles:
        names["mariadb"] = f"db.{platform.environment.internal_domain}"
    return names


def test_certificates_come_from_the_authority_and_carry_their_names(
    host: RemoteHost, spec_host: Host, platform: Platform
) -> None:
    """The wrong name is the positive control."""
    for name, wanted in names_of(spec_host, platform).items():
        verify = f"openssl verify -CAfile {DIRECTORY}/ca.crt -purpose sslserver -verify_hostname"
        assert host.run(f"{verify} {wanted} {DIRECTORY}/{name}.crt").succeeded, name
        assert host.run(f"{verify} wrong.example {DIRECTORY}/{name}.crt").failed, name


def test_another_authority_is_not_trusted(host: RemoteHost) -> None:
    """A verification that accepts anything would pass the test above."""
    command = f"{OTHER_AUTHORITY} -out /tmp/other.crt 2>/dev/null; openssl verify -CAfile /tmp/other.crt"
    result = host.run(f"{command} {DIRECTORY}/host.crt; code=$?; rm -f /tmp/other.crt; exit $code")
    assert result.failed


def test_a_third_of_the_lifetime_is_left_on_every_certificate(
    host: RemoteHost, spec_host: Host, platform: Platform
) -> None:
    """Less means that renewal has not run."""
    for name in names_of(spec_host, platform):
        leaf = x509.load_pem_x509_certificate(host.file(f"{DIRECTORY}/{name}.crt").content)
        assert leaf.not_valid_after_utc - datetime.now(UTC) > timedelta(days=29), name
        assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < timedelta(days=91), name


def test_keys_are_read_by_their_daemons_alone(host: RemoteHost) -> None:
    """A key that the web application can read is one bug away from being copied."""
    text = host.check_output(f"stat --format '%n %U %a' {DIRECTORY}/*.key {DIRECTORY}/*.pem")
    for line in text.splitlines():
        _, owner, mode = line.split()
        assert (owner, mode) == ("root", "640"), line
    readable = host.run(f"runuser --user nobody -- cat {DIRECTORY}/host.key")
    assert readable.failed


def test_the_internal_authority_is_not_in_the_systems_trust(host: RemoteHost) -> None:
    """Programs that talk to the world must not accept certificates that we could make."""
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    assert host.run(f"openssl verify -CAfile {bundle} -no-CApath -no-CAstore {DIRECTORY}/host.crt").failed
