# SPDX-License-Identifier: Apache-2.0
"""The cache agent's sockets: what it takes for an answer, and what for a failure that must be tried again."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.unit.edge_world import World, bans, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

io = load("cache_agent_io")
SECRET = b"c3b1\n"
CHALLENGE = b"abcdefghijklmnopqrstuvwxyzabcdef"


def cli(status: int, text: bytes) -> bytes:
    """Return one answer of Varnish's administration."""
    return b"%-3d %-8d\n%b\n" % (status, len(text), text)


class Peer:
    """A server that treats each connection with `talk`, one after the other."""

    def __init__(self, server: socket.socket, talk: Callable[[socket.socket], None]) -> None:
        self.heard: list[bytes] = []
        self.hung_up = threading.Event()
        self.server = server
        self.talk = talk
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            with client:
                self.talk(client)
            self.hung_up.set()


def varnish(statuses: list[int], heard: list[bytes]) -> Callable[[socket.socket], None]:
    """Return a Varnish that asks for the secret, answers with `statuses` and hangs up after the last."""

    def talk(client: socket.socket) -> None:
        client.sendall(cli(107, CHALLENGE + b"\n\nAuthentication required.\n"))
        answer = hashlib.sha256(CHALLENGE + b"\n" + SECRET + CHALLENGE + b"\n").hexdigest()
        good = client.recv(4096) == f"auth {answer}\n".encode()
        client.sendall(cli(200 if good else 107, b"hello"))
        while statuses and good:
            line = client.recv(4096)
            if not line:
                return
            heard.append(line)
            client.sendall(cli(statuses.pop(0), b"text"))

    return talk


@pytest.fixture(name="tcp")
def fixture_tcp() -> Iterator[socket.socket]:
    """Yield a listening TCP socket on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_ban_is_done_when_varnish_says_200(tcp: socket.socket) -> None:
    """And the expression arrives as one line."""
    heard: list[bytes] = []
    Peer(tcp, varnish([200, 200], heard))
    client = io.VarnishCli(tcp.getsockname(), SECRET)
    for _ in range(2):
        client.ban("obj.http.X-Keys ~ (p1)")
    client.close()
    assert heard == [b"ban obj.http.X-Keys ~ (p1)\n"] * 2


def test_a_refused_ban_is_a_failure_and_the_next_one_connects_anew(tcp: socket.socket) -> None:
    """106 is a bad expression, 300 a child that does not run: in doubt nothing was banned."""
    heard: list[bytes] = []
    Peer(tcp, varnish([106, 200], heard))
    client = io.VarnishCli(tcp.getsockname(), SECRET)
    with pytest.raises(bans.AgentError, match="106"):
        client.ban("obj.status != 0")
    client.ban("obj.status != 0")
    client.close()
    assert len(heard) == 2


def test_a_restarted_varnish_costs_one_failure(tcp: socket.socket) -> None:
    """Its old connection is dead without a word."""
    heard: list[bytes] = []
    statuses = [200]
    peer = Peer(tcp, varnish(statuses, heard))
    client = io.VarnishCli(tcp.getsockname(), SECRET)
    client.ban("obj.status != 0")
    assert peer.hung_up.wait(10)
    statuses.append(200)
    with pytest.raises(bans.AgentError):
        client.ban("obj.status != 0")
    client.ban("obj.status != 0")
    client.close()


def test_a_wrong_secret_is_a_failure(tcp: socket.socket) -> None:
    """Not an endless greeting."""
    Peer(tcp, varnish([200], []))
    with pytest.raises(bans.AgentError, match="107"):
        io.VarnishCli(tcp.getsockname(), b"other").ban("obj.status != 0")


def http(body: bytes, status: str = "200 OK") -> Callable[[socket.socket], None]:
    """Return an application that gives one answer and hangs up."""

    def talk(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return talk


def fetch(path: Path, talk: Callable[[socket.socket], None]) -> object:
    """Fetch once from an application that listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path / "app.sock"))
        server.listen()
        Peer(server, talk)
        source = io.HttpSource(str(path / "app.sock"), b"token")
        try:
            return source.fetch("one.test", 3)
        finally:
            source.close()


def test_the_list_is_read_through_the_unix_socket(tmp_path: Path) -> None:
    """Rows come in the order of their numbers."""
    rows = [{"id": 5, "keys": ["p2"]}, {"id": 4, "keys": ["p1", "front"]}]
    body = json.dumps({"epoch": "e", "first": 1, "last": 5, "bans": rows}).encode()
    assert fetch(tmp_path, http(body)) == bans.Page(
        "e", 1, 5, (bans.Ban(4, ("p1", "front")), bans.Ban(5, ("p2",)))
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", "200 OK"),
        (b"<html>", "200 OK"),
        (b"{}", "403 Forbidden"),
        (b"{}", "302 Found"),
        (b"", "503 Busy"),
    ],
)
def test_anything_else_is_a_failed_poll(tmp_path: Path, body: bytes, status: str) -> None:
    """An error page must never read as `nothing to ban`."""
    with pytest.raises(bans.AgentError):
        fetch(tmp_path, http(body, status))


def test_no_application_is_a_failed_poll(tmp_path: Path) -> None:
    """The socket may not be there yet."""
    with pytest.raises(bans.AgentError):
        io.HttpSource(str(tmp_path / "none.sock"), b"token").fetch("one.test", 0)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /health HTTP/1.1\r\n", b"503"),
        (b"GET /metrics HTTP/1.0\r\n", b"200"),
        (b"GET / HTTP/1.0\r\n", b"404"),
        (b"", b"404"),
    ],
)
def test_health_and_metrics_answer_any_request_line(
    tmp_path: Path, request_line: bytes, status: bytes
) -> None:
    """An agent that has never polled is not healthy."""
    assert io.respond(World(tmp_path).agent, request_line, 1.0).split()[1] == status


def test_health_answers_200_after_a_good_round(tmp_path: Path) -> None:
    """What Varnish's probe waits for."""
    world = World(tmp_path)
    world.round()
    assert io.respond(world.agent, b"GET /health HTTP/1.1\r\n", world.now).split()[1] == b"200"
