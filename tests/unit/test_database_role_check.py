# SPDX-License-Identifier: Apache-2.0
"""The role check as a load balancer meets it, over real TLS, with a database server made up."""

from __future__ import annotations

import http.client
import importlib.util
import socket
import ssl
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.spec import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = CHECKOUT / "roles/database/files/role_check.py"
NAME = "db-1.lab.internal"


def program() -> Any:
    """Return the program as a module."""
    spec = importlib.util.spec_from_file_location("role_check", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


role_check = program()


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


@pytest.fixture(name="rows")
def fixture_rows() -> dict[str, Any]:
    """Return what the database server says, for a test to fill; an exception among it is raised."""
    return {}


@pytest.fixture(name="address")
def fixture_address(rows: dict[str, Any], tmp_path: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    """Return port and trust of a running role check."""

    def row(query: str) -> dict[str, Any]:
        found = rows["read_only" if "read_only" in query else "replica"]
        if isinstance(found, Exception):
            raise found
        return dict(found)

    files = certificate(tmp_path)
    role_check.Handler.database = role_check.Server("", "", 5)
    role_check.Handler.database._row = row
    listener = role_check.Listener(("127.0.0.1", 0), *files)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield listener.server_address[1], ssl.create_default_context(cafile=str(files[0]))
    listener.shutdown()
    listener.server_close()
    thread.join()


def get(address: tuple[int, ssl.SSLContext], path: str) -> tuple[int, str]:
    """Return status and text of one request over a connection of its own."""
    port, trust = address
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    link.connect()
    link.sock = trust.wrap_socket(link.sock, server_hostname=NAME)
    try:
        link.request("GET", path)
        answer = link.getresponse()
        return answer.status, answer.read().decode().strip()
    finally:
        link.close()


REPLICA = {"Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes", "Seconds_Behind_Master": 0}


@pytest.mark.parametrize(
    ("path", "said", "expected"),
    [
        ("/writer", {"read_only": {"read_only": 0}}, (200, "writer")),
        ("/writer", {"read_only": {"read_only": 1}}, (503, "read-only")),
        (
            "/writer",
            {"read_only": pymysql.err.OperationalError(2003, "x")},
            (503, "database does not answer"),
        ),
        ("/writer", {"read_only": ConnectionResetError()}, (503, "database does not answer")),
        ("/replica", {"replica": REPLICA}, (200, "replica")),
        ("/replica", {"replica": {}}, (503, "does not replicate")),
        ("/replica", {"replica": REPLICA | {"Slave_SQL_Running": "No"}}, (503, "stands still")),
        ("/replica", {"replica": REPLICA | {"Seconds_Behind_Master": 6}}, (503, "behind by 6 s")),
        ("/replica", {"replica": REPLICA | {"Seconds_Behind_Master": None}}, (503, "behind by None s")),
        ("/", {}, (404, "unknown path")),
    ],
)
def test_only_a_server_that_is_what_was_asked_for_gets_200(
    address: Any, rows: dict[str, Any], path: str, said: dict[str, Any], expected: tuple[int, str]
) -> None:
    """A wrong 200 sends writes to a server that refuses or loses them."""
    rows.update(said)
    status, text = get(address, path)
    assert status == expected[0]
    assert expected[1] in text


def test_a_silent_client_holds_up_nobody(address: Any, rows: dict[str, Any]) -> None:
    """A port scan must not make the writer look dead."""
    rows["read_only"] = {"read_only": 0}
    with socket.create_connection(("127.0.0.1", address[0])):
        assert get(address, "/writer")[0] == 200


def test_a_renewed_certificate_is_served_without_a_restart(
    address: Any, rows: dict[str, Any], tmp_path: Path
) -> None:
    """A restart would take every server out of its pool at once."""
    rows["read_only"] = {"read_only": 0}
    assert get(address, "/writer")[0] == 200
    renewed, _ = certificate(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        get(address, "/writer")
    assert get((address[0], ssl.create_default_context(cafile=str(renewed))), "/writer")[0] == 200
