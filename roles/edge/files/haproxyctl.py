#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Drain and undrain application hosts in this edge's HAProxy, and keep that over reloads and restarts.

haproxyctl drain app-1      no new requests to app-1; those under way end by themselves
haproxyctl ready app-1      back into the pool
haproxyctl show             servers as JSON: state, health, sessions
haproxyctl save             write the state file (systemd calls this before a reload)
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path

SOCKET = Path("/run/haproxy/admin.sock")
STATE_FILE = Path("/var/lib/haproxy/server-state")
POOL = "app"


class HAProxyError(Exception):
    """HAProxy could not be asked, or refused."""


def ask(command: str, path: Path = SOCKET) -> str:
    """Send one command to HAProxy's admin socket and return the answer; raise HAProxyError without one."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(str(path))
            client.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: client.recv(65536), b"")).decode()
    except OSError as error:
        raise HAProxyError(f"{path}: {error}") from error


def save(socket_path: Path = SOCKET, target: Path = STATE_FILE) -> None:
    """Write the state of all servers to `target`, atomically; raise HAProxyError when HAProxy gives none."""
    state = ask("show servers state", socket_path)
    if not state.startswith("1\n#"):
        raise HAProxyError(f"unexpected answer to `show servers state`: {state[:80]!r}")
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".server-state")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(state)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def set_state(server: str, state: str, socket_path: Path = SOCKET) -> None:
    """Set the administrative state (`drain` or `ready`) of a server of the application pool."""
    answer = ask(f"set server {POOL}/{server} state {state}", socket_path).strip()
    if answer:
        raise HAProxyError(f"{POOL}/{server}: {answer}")


def servers(socket_path: Path = SOCKET) -> list[dict[str, str | int]]:
    """Return the servers of all pools: pool, name, status (UP, DOWN, DRAIN ...), sessions, queue."""
    lines = ask("show stat -1 4 -1", socket_path).lstrip("# ").splitlines()
    header = lines[0].split(",")
    rows = [dict(zip(header, line.split(","), strict=False)) for line in lines[1:] if line]
    return [
        {
            "pool": row["pxname"],
            "server": row["svname"],
            "status": row["status"],
            "sessions": int(row["scur"] or 0),
            "queue": int(row["qcur"] or 0),
        }
        for row in rows
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, or 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("drain", "ready"):
        commands.add_parser(name).add_argument("server")
    commands.add_parser("show")
    commands.add_parser("save")
    parsed = parser.parse_args(arguments)
    try:
        if parsed.command == "show":
            print(json.dumps(servers(), indent=1))
            return 0
        if parsed.command != "save":
            set_state(parsed.server, parsed.command)
        save()
    except HAProxyError as error:
        print(f"haproxyctl: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
