# SPDX-License-Identifier: Apache-2.0
"""Stand-in for the cache agent: 200 on DIRECTORY/agent.sock, 503 while DIRECTORY/sick exists."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

directory = Path(sys.argv[1])
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
    server.bind(str(directory / "agent.sock"))
    server.listen()
    while True:
        client, _ = server.accept()
        with client:
            client.recv(4096)
            status = "503 Unavailable" if (directory / "sick").exists() else "200 OK"
            client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
