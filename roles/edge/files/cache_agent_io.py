# SPDX-License-Identifier: Apache-2.0
"""Sockets of the page cache agent: the application, Varnish's administration, systemd, health and metrics."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import socketserver
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cache_bans import AgentError, Page, page_from

if TYPE_CHECKING:
    from types import FrameType

TIMEOUT_SECONDS = 2.0
ANSWER_BYTES_MAX = 4 * 1024 * 1024
LISTEN_FD = 3


class Rounds(Protocol):
    """The part of the agent that this module drives."""

    def round(self, now: float) -> bool:
        """Poll and ban once."""

    def healthy(self, now: float) -> bool:
        """Return whether all bans are known to be applied."""

    def metrics(self, now: float) -> str:
        """Return the metrics in text format."""


def credential(name: str, *, strip: bool = True) -> bytes:
    """Return a credential that systemd handed over; raise KeyError or OSError when there is none."""
    value = (Path(os.environ["CREDENTIALS_DIRECTORY"]) / name).read_bytes()
    return value.strip() if strip else value


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the Unix socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self._path)


class HttpSource:
    """The application's list of bans, through HAProxy's internal frontend, over one kept connection."""

    def __init__(self, path: str, token: bytes) -> None:
        self._path = path
        self._headers = {"Authorization": f"Bearer {token.decode()}", "X-Forwarded-Proto": "https"}
        self._connection: _UnixConnection | None = None

    def fetch(self, domain: str, after: int) -> Page:
        """Return the rows after `after` of the site with this domain; raise AgentError."""
        try:
            if self._connection is None:
                self._connection = _UnixConnection(self._path)
            self._connection.request(
                "GET", f"/perennial/bans?after={after}", headers={"Host": domain, **self._headers}
            )
            answer = self._connection.getresponse()
            body = answer.read(ANSWER_BYTES_MAX)
            if answer.status != http.client.OK:
                raise AgentError(f"the list of bans answered {answer.status}")
            return page_from(json.loads(body))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AgentError(f"the list of bans cannot be read: {error!r}") from error
        finally:
            if sys.exception() is not None:
                self.close()

    def close(self) -> None:
        """Drop the connection; the next fetch makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class VarnishCli:
    """Varnish's administration protocol: `status length`, text, newline; authentication by challenge."""

    def __init__(self, address: tuple[str, int], secret: bytes) -> None:
        self._address = address
        self._secret = secret
        self._socket: socket.socket | None = None

    def ban(self, expression: str) -> None:
        """Apply one ban; raise AgentError unless Varnish says 200."""
        try:
            if self._socket is None:
                self._connect()
            self._command(f"ban {expression}")
        except (OSError, ValueError) as error:
            raise AgentError(f"Varnish cannot be told: {error!r}") from error
        finally:
            if sys.exception() is not None:
                self.close()

    def close(self) -> None:
        """Drop the connection; the next ban makes a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._address, timeout=TIMEOUT_SECONDS)
        status, text = self._answer()
        if status == 107:
            challenge = text[:32] + b"\n"
            self._command("auth " + hashlib.sha256(challenge + self._secret + challenge).hexdigest())
        elif status != 200:
            raise AgentError(f"Varnish greets with {status}")

    def _command(self, line: str) -> None:
        if self._socket is None:
            raise AgentError("not connected to Varnish")
        self._socket.sendall(line.encode() + b"\n")
        status, text = self._answer()
        if status != 200:
            raise AgentError(f"Varnish answers {status}: {text[:200].decode(errors='replace')}")

    def _answer(self) -> tuple[int, bytes]:
        status, length = self._read(13).split()
        return int(status), self._read(int(length) + 1)[:-1]

    def _read(self, length: int) -> bytes:
        data = b""
        while self._socket is not None and len(data) < length:
            part = self._socket.recv(length - len(data))
            if not part:
                raise AgentError("Varnish closed the connection")
            data += part
        return data


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def serve(agent: Rounds) -> None:
    """Answer /health and /metrics on the socket that systemd opened, in a thread of its own."""

    class Handler(socketserver.StreamRequestHandler):
        timeout = TIMEOUT_SECONDS

        def handle(self) -> None:
            try:
                request = self.rfile.readline(4096)
                while self.rfile.readline(4096).strip():
                    continue
                self.wfile.write(respond(agent, request, time.monotonic()))
            except OSError:
                return  # a client that went away needs no answer

    server = _Server("", Handler, bind_and_activate=False)
    server.socket = socket.socket(fileno=LISTEN_FD)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()


def respond(agent: Rounds, request: bytes, now: float) -> bytes:
    """Return the HTTP response to one request line."""
    path = [*request.split(), b"", b""][1]
    if path == b"/metrics":
        status, text = "200 OK", agent.metrics(now)
    elif path == b"/health":
        good = agent.healthy(now)
        status, text = ("200 OK", "ok\n") if good else ("503 Service Unavailable", "bans may be missing\n")
    else:
        status, text = "404 Not Found", "not found\n"
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def notify(message: str) -> None:
    """Tell systemd; does nothing when it does not listen."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.connect("\0" + address[1:] if address.startswith("@") else address)
            client.sendall(message.encode())


def run(agent: Rounds, poll_seconds: float) -> None:
    """Do one round after another until SIGTERM or SIGINT."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    notify("READY=1")
    while not stopped.is_set():
        agent.round(time.monotonic())
        notify("WATCHDOG=1")
        stopped.wait(poll_seconds)
    notify("STOPPING=1")
