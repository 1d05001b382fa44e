# SPDX-License-Identifier: Apache-2.0
"""A small platform for tests of fleet operations: editing inventories/lab.yml must not break them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from infra.fleet.memory import MemoryRunner
from infra.fleet.remote import Result
from infra.inventory.fleet import Fleet, FleetDocument
from infra.spec import INVENTORIES, Platform, load

ENVIRONMENT = """
plugin: perennial
environment: unit
substrate: lab
disposable: {disposable}
load_limit: 100
suite: trixie
tls: internal
vip: {{mode: vrrp, address: 192.0.2.10, router_id: 9}}
smtp_relay: none
egress: direct
internal_domain: unit.internal
network: {{subnet: 192.0.2.0/24, gateway: 192.0.2.1, operators: [192.0.2.1]}}
sites: {{community: {{domain: community.unit.test}}}}
hosts:
  edge-1: {{address: 192.0.2.11, size: small, roles: [edge]}}
  edge-2: {{address: 192.0.2.12, size: small, roles: [edge]}}
  app-1: {{address: 192.0.2.21, size: medium, roles: [app]}}
  app-2: {{address: 192.0.2.22, size: medium, roles: [app]}}
  app-3: {{address: 192.0.2.23, size: medium, roles: [app], disabled: true}}
  db-1: {{address: 192.0.2.31, size: medium, roles: [database]}}
  db-2: {{address: 192.0.2.32, size: medium, roles: [database]}}
  mon-1: {{address: 192.0.2.41, size: medium, roles: [monitoring, logs]}}
  ctl-1: {{address: 192.0.2.51, size: medium, roles: [control]}}
"""


def platform(directory: Path, *, disposable: bool = True) -> Platform:
    """Return the platform `unit`, described in `directory`."""
    inventories = directory / "inventories"
    shutil.copytree(INVENTORIES / "platform", inventories / "platform", dirs_exist_ok=True)
    text = ENVIRONMENT.format(disposable=str(disposable).lower())
    (inventories / "unit.yml").write_text(text, "utf-8")
    return load("unit", inventories)


def fleet(directory: Path, *, disposable: bool = True) -> Fleet:
    """Return a fleet over that platform whose machines nobody can reach."""
    described = platform(directory, disposable=disposable)
    hosts = {
        name: {"address": host.address, "user": "ops", "port": 22, "host_key": f"ssh-ed25519 {name}"}
        for name, host in described.hosts.items()
    }
    document = {
        "schema": "fleet/1",
        "environment": "unit",
        "substrate": "lab",
        "capabilities": [],
        "hosts": hosts,
    }
    parsed = FleetDocument.model_validate(document | {"secrets": {}})
    secrets = {"wordpress-admin": {"value": "planted-value"}, "authority": {"certificate": "none"}}
    return Fleet(described, parsed, directory / "key", directory / "known_hosts", secrets)


class World:
    """Two edges, two application hosts and two databases that answer as the real ones do."""

    def __init__(self) -> None:
        """Begin healthy: everything up, db-1 writes, edge-1 holds the address."""
        self.state = {edge: {"app-1": "UP", "app-2": "UP"} for edge in ("edge-1", "edge-2")}
        self.sessions: dict[str, int] = {}
        self.writer = "db-1"
        self.address = "edge-1"
        self.down: set[tuple[str, str]] = set()
        self.marks: dict[str, list[str]] = {}
        self.failing_restarts: set[str] = set()
        self.breaks_on_restart: set[str] = set()
        self.runner = MemoryRunner(rules=[self.answer])

    def answer(self, host: str, line: str, stdin: str) -> str | int | Result | None:
        """Answer as a rule of MemoryRunner."""
        words = line.split()
        if "haproxyctl" in words[0]:
            return self._haproxyctl(host, words[1:])
        if words[0] == "systemctl":
            return self._systemctl(host, words[1], words[2:])
        if words[0] == "ip":
            return "2: host0 inet 192.0.2.10/32 scope global\n" if host == self.address else "2: host0 inet\n"
        if words[0] == "mariadb":
            return self._mariadb(host)
        if "cache-agent.sock" in line:
            return "200 ok"
        if "HTTPSConnection" in line:
            asked = json.loads(stdin)["host"].partition(".")[0]
            return "503 no database" if (asked, "page") in self.down else "200 ok"
        if "restart-needed.d" in line and words[0] == "sh":
            return "".join(f"{unit}\n" for unit in self.marks.get(host, []))
        if words[:2] == ["rm", "-f"]:
            gone = {Path(path).name for path in words[2:]}
            self.marks[host] = [unit for unit in self.marks[host] if unit not in gone]
        return None

    def _haproxyctl(self, edge: str, words: list[str]) -> str:
        if words[0] == "show":
            rows = [
                {
                    "pool": "app",
                    "server": name,
                    "status": status,
                    "sessions": self.sessions.get(name, 0),
                    "queue": 0,
                }
                for name, status in self.state[edge].items()
            ]
            return json.dumps(
                [*rows, {"pool": "varnish", "server": "local", "status": "UP", "sessions": 9, "queue": 0}]
            )
        self.state[edge][words[1]] = "DRAIN" if words[0] == "drain" else "UP"
        return ""

    def _systemctl(self, host: str, action: str, units: list[str]) -> str | Result | int:
        if action == "is-active":
            states = ["failed" if (host, unit) in self.down else "active" for unit in units]
            return Result(host, 0 if set(states) == {"active"} else 3, "\n".join(states))
        if action == "stop" and units == ["keepalived.service"]:
            self.down.add((host, "keepalived"))
            self.address = next((e for e in ("edge-1", "edge-2") if (e, "keepalived") not in self.down), "")
        if action == "start" and units == ["keepalived.service"]:
            self.down.discard((host, "keepalived"))
        if action == "restart" and host in self.breaks_on_restart:
            self.down.add((host, units[0].removesuffix(".service")))
        return 1 if action == "restart" and host in self.failing_restarts else 0

    def _mariadb(self, host: str) -> str:
        if host == self.writer:
            return "*** 1. row ***\nRead_Only: 0\n"
        return "*** 1. row ***\nRead_Only: 1\n*** 1. row ***\nSlave_IO_Running: Yes\nSlave_SQL_Running: Yes\n"


def changes(world: World) -> list[str]:
    """Return the changing commands so far, shortened to host and the words that matter."""
    return [line.replace("/usr/local/bin/", "") for line in world.runner.lines()]
