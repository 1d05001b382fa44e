# SPDX-License-Identifier: Apache-2.0
"""An HTTPS listener for small programs: handshakes hold up nobody, a renewed certificate needs no restart."""

from __future__ import annotations

import ssl
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ACCEPT_TIMEOUT_SECONDS = 3


class Listener(ThreadingHTTPServer):
    """HTTPS; handshakes happen in the threads, so that a silent client holds up nobody."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], certificate: Path, key: Path
    ) -> None:
        super().__init__(address, handler)
        self._files = (certificate, key)
        self._loaded: tuple[float, ...] = ()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load()

    def _load(self) -> None:
        """Take a renewed certificate without a restart."""
        changed = tuple(path.stat().st_mtime for path in self._files)
        if changed != self._loaded:
            self._context.load_cert_chain(*self._files)
            self._loaded = changed

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; the handshake comes with the first read."""
        with suppress(OSError, ssl.SSLError):  # between two writes of a renewal the old pair stays good
            self._load()
        connection, address = super().get_request()
        connection.settimeout(ACCEPT_TIMEOUT_SECONDS)
        wrapped = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return wrapped, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in this connection's own thread, then answer."""
        request.do_handshake()
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that leave during the handshake; the connection is closed by the caller."""
