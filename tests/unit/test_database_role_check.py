# SPDX-License-Identifier: Apache-2.0
"""The role check as a load balancer meets it, over real TLS, with a database server made up."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from tests.unit.listener_world import NAME, certificate, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


role_check = load("database", "role_check")


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
    listener = role_check.Listener(("127.0.0.1", 0), role_check.Handler, *files)
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
