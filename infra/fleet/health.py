# SPDX-License-Identifier: Apache-2.0
"""Whether hosts do their work: units, a real request to each application host, the agent, replication."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tenacity

from infra.fleet.exits import PerennialError
from infra.fleet.remote import Result, SshRunner

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infra.fleet.remote import Runner
    from infra.inventory import Fleet
    from infra.spec import Host, Platform

# Units that must run for a role to do its work.
UNITS: Mapping[str, tuple[str, ...]] = {
    "base": ("ssh", "nftables"),
    "edge": ("haproxy", "varnish", "keepalived", "perennial-cache-agent"),
    "app": ("nginx", "php8.4-fpm"),
    "database": ("mariadb",),
    "monitoring": ("prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter"),
    "logs": ("rsyslog",),
    "control": (),
}
AGENT_SOCKET = "/run/perennial/cache-agent.sock"
POLL_SECONDS = 1.0

# Asked on an edge: the request takes the way that visitors' requests take, certificate and name checked.
ASK = """
import http.client, json, ssl, sys
want = json.load(sys.stdin)
context = ssl.create_default_context(cafile="/etc/perennial/tls/ca.crt")
connection = http.client.HTTPSConnection(want["host"], want["port"], timeout=5, context=context)
try:
    connection.request("GET", want["path"], headers={"Host": want["site"]})
    answer = connection.getresponse()
    print(answer.status, answer.read(200).decode(errors="replace").strip())
except OSError as error:
    print("no answer:", error)
"""
ASK_AGENT = """
import http.client, socket, sys
connection = http.client.HTTPConnection("agent", timeout=5)
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.settimeout(5)
try:
    connection.sock.connect(sys.argv[1])
    connection.request("GET", "/health")
    answer = connection.getresponse()
    print(answer.status, answer.read(200).decode(errors="replace").strip())
except OSError as error:
    print("no answer:", error)
"""
REPLICATION = "SELECT @@read_only AS Read_Only\\G SHOW ALL REPLICAS STATUS\\G"


@dataclass(frozen=True)
class HostHealth:
    """What is wrong with one host; nothing means healthy."""

    host: str
    problems: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.problems


@dataclass
class Health:
    """Asks the hosts of one platform; only reads, so it works in a dry run too."""

    platform: Platform
    runner: Runner

    def host(self, host: Host, without: Sequence[str] = ()) -> HostHealth:
        """Return the health of one host, not counting the units `without`."""
        units = sorted({unit for role in host.roles for unit in UNITS.get(role, ())} - set(without))
        result = self.runner.run(host.name, ["systemctl", "is-active", *units], safe=True, timeout=20)
        if not result.reached:
            return HostHealth(host.name, (f"cannot be reached: {result.last_line()}",))
        states = result.stdout.split()
        problems = [
            f"{unit} is {state}" for unit, state in zip(units, states, strict=False) if state != "active"
        ]
        if len(states) < len(units):
            problems.append(f"systemd does not answer: {result.last_line()}")
        for role, look in (("app", self._app), ("edge", self._edge), ("database", self._database)):
            if role in host.roles and not problems:
                problems += look(host)
        return HostHealth(host.name, tuple(problems))

    def hosts(self, hosts: Iterable[Host], without: Sequence[str] = ()) -> list[HostHealth]:
        """Return the health of several hosts, asked at the same time."""
        asked = list(hosts)
        with ThreadPoolExecutor(max_workers=max(1, min(20, len(asked)))) as workers:
            return list(workers.map(lambda host: self.host(host, without), asked))

    def _app(self, host: Host) -> list[str]:
        """Ask the application's health page from an edge; 200 means that PHP and the database answered."""
        service = self.platform.services["app"]
        edges = self.platform.with_role("edge", enabled_only=True)
        if service.pool is None or not edges:
            return []
        site = next(iter(self.platform.sites.values())).domain
        want = {"host": host.fqdn, "port": service.port, "path": service.pool.health_path, "site": site}
        answers = []
        for edge in edges:
            asked = self.runner.run(
                edge.name, ["python3", "-c", ASK], safe=True, stdin=json.dumps(want), timeout=20
            )
            if asked.stdout.startswith("200"):
                return []
            answers.append(f"from {edge.name}: {_said(asked)}")
        return [f"health page: {'; '.join(answers)}"]

    def _edge(self, host: Host) -> list[str]:
        asked = self.runner.run(host.name, ["python3", "-c", ASK_AGENT, AGENT_SOCKET], safe=True, timeout=20)
        return [] if asked.stdout.startswith("200") else [f"cache agent: {_said(asked)}"]

    def _database(self, host: Host) -> list[str]:
        """Require a writer, or a replica whose two threads run; a server that is neither is not healthy."""
        asked = self.runner.run(host.name, ["mariadb", "-e", REPLICATION], safe=True, timeout=20)
        if not asked.ok:
            return [f"MariaDB: {asked.last_line()}"]
        return replication_problems(asked.stdout)

    def require(self, hosts: Iterable[Host], seconds: float, without: Sequence[str] = ()) -> None:
        """Wait until all `hosts` are healthy; raise PerennialError with every problem after `seconds`."""
        waiting = list(hosts)

        def look() -> None:
            """Raise UnhealthyError naming every problem."""
            found = [state for state in self.hosts(waiting, without) if not state.healthy]
            if found:
                raise UnhealthyError(
                    "; ".join(f"{state.host}: {', '.join(state.problems)}" for state in found)
                )

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_delay(seconds),
            wait=tenacity.wait_fixed(POLL_SECONDS),
            retry=tenacity.retry_if_exception_type(UnhealthyError),
            reraise=True,
        )
        try:
            retrying(look)
        except UnhealthyError as error:
            message = f"not healthy within {seconds:g} s: {error}"
            raise PerennialError(message, where=self.platform.name, next_="perennial fleet status") from error


class UnhealthyError(Exception):
    """Hosts are not healthy yet; the message names each problem."""


def _said(result: Result) -> str:
    return result.stdout.strip() or result.last_line()


def replication_fields(text: str) -> dict[str, str]:
    """Return the columns that the client printed one a line (`name: value`)."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def is_writer(fields: dict[str, str]) -> bool:
    """Tell whether a server takes writes and replicates from nobody."""
    return fields.get("Read_Only") in {"0", "OFF"} and "Slave_IO_Running" not in fields


def replication_problems(text: str) -> list[str]:
    """Return what is wrong with a server that printed `text` on REPLICATION."""
    fields = replication_fields(text)
    if "Slave_IO_Running" not in fields:
        return [] if is_writer(fields) else ["read only, and replicates from nobody"]
    threads = {name: fields.get(f"Slave_{name}_Running", "") for name in ("IO", "SQL")}
    stopped = [f"replication {name} thread: {state}" for name, state in threads.items() if state != "Yes"]
    detail = fields.get("Last_SQL_Error") or fields.get("Last_IO_Error") or ""
    return stopped + ([detail] if stopped and detail else [])


def wait_all(fleet: Fleet, *, seconds: float = 120, runner: Runner | None = None) -> None:
    """Wait until every enabled host is healthy; raise PerennialError with all problems after `seconds`."""
    health = Health(fleet.platform, runner or SshRunner(fleet))
    health.require([host for host in fleet.platform.hosts.values() if not host.disabled], seconds)
