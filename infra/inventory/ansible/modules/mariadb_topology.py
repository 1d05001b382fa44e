#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""One writer, the others replicate from it. All are read; each then decides alike and acts on itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

try:
    import pymysql
    import pymysql.cursors
except ImportError:  # a host whose packages are still to come, looked at in check mode
    HAS_PYMYSQL = False
else:
    HAS_PYMYSQL = True

DOCUMENTATION = """
module: mariadb_topology
short_description: election of the writer and GTID replication
description:
  - Without C(phase) it returns C(state), what this server is, or none where no server runs.
  - With C(phase=writer) the elected server starts to write, if none does.
  - With C(phase=replica) this server follows the writer.
options:
  phase: {description: what to do, type: str, default: read, choices: [read, writer, replica]}
  name: {description: this server's name in nodes, type: str}
  nodes: {description: name to state of every server; none where it could not be read, type: dict}
  source: {description: 'host, port, user and file of the authority to replicate with', type: dict}
  password: {description: of the replication account, type: str}
  socket: {description: Unix socket, type: path, default: /run/mysqld/mysqld.sock}
  wait_seconds: {description: how long a replica may take to connect, type: int, default: 60}
"""

REQUIRED = {"writer": ("name", "nodes"), "replica": ("name", "nodes", "source", "password")}
MASTER_INFO = Path("/var/lib/mysql/master.info")
MASTER_INFO_PASSWORD_LINE = 5  # after count, log file, position, host, user
TRANSIENT = {
    0,
    1045,
    1130,
    1158,
    1159,
    1160,
    1161,
    2002,
    2003,
    2006,
    2013,
    2026,
}  # accounts or network still coming
HEARTBEAT_SECONDS = 2
RETRY_SECONDS = 2
SETTLE_SECONDS = 1

REPLICA_FACTS = (
    "Master_Host", "Master_Port", "Master_User", "Using_Gtid", "Gtid_IO_Pos", "Master_SSL_Allowed",
    "Master_SSL_CA_File", "Master_SSL_Verify_Server_Cert", "Slave_IO_Running", "Slave_SQL_Running",
    "Last_IO_Errno", "Last_IO_Error", "Last_SQL_Errno", "Last_SQL_Error",
)  # fmt: skip
State = dict[str, Any]


class TopologyError(Exception):
    """The servers are in a state that needs a person; the message says which and what to do."""


def positions(state: State) -> dict[tuple[int, int], int]:
    """Return the newest sequence number that a server has, by replication domain and origin."""
    newest: dict[tuple[int, int], int] = {}
    for text in (state["binlog_state"], state["replica_position"]):
        for gtid in filter(None, text.replace("\n", "").split(",")):
            domain, origin, sequence = (int(part) for part in gtid.split("-"))
            key = (domain, origin)
            newest[key] = max(newest.get(key, 0), sequence)
    return newest


def covers(one: State, other: State, but_from: int = 0) -> bool:
    """Tell whether `one` has every transaction of `other`, leaving out those of origin `but_from`."""
    have = positions(one)
    needed = positions(other)
    return all(have.get(key, 0) >= needed[key] for key in needed if key[1] != but_from)


def elect(nodes: dict[str, State | None]) -> str:
    """Return who writes, or is to: the present writer, else the server that has every transaction.

    Among equals it is the one that others replicate from, then the first by name. Raises TopologyError where
    a person has to look: two writers, none while a server is away, or transactions that no single server has.
    """
    there = {name: state for name, state in nodes.items() if state is not None}
    writers = sorted(name for name, state in there.items() if not state["read_only"])
    if len(writers) > 1:
        raise TopologyError(
            f"more than one server takes writes: {', '.join(writers)}; make all but one read-only"
        )
    if writers:
        return writers[0]
    away = sorted(set(nodes) - set(there))
    if away:
        raise TopologyError(
            f"no server takes writes and {', '.join(away)} cannot be read, so nobody knows who has the "
            "newest data; bring it back, then: make up; or: perennial fleet failover"
        )
    best = [name for name in there if all(covers(there[name], other) for other in there.values())]
    if not best:
        raise TopologyError("no server has all transactions of the others; restore or choose one by hand")
    return min(best, key=lambda name: (there[name]["replica"] is not None, name))


def check_can_follow(name: str, own: State, writer: str, source: State) -> None:
    """Raise TopologyError where `own` cannot follow the writer without losing or missing transactions.

    The writer was read a moment before, so a running replica may be ahead of it in the writer's own.
    """
    running = own["replica"] is not None and own["replica"]["Slave_SQL_Running"] == "Yes"
    if not covers(source, own, but_from=source["server_id"] if running else 0):
        raise TopologyError(
            f"{name} has transactions that the writer {writer} never had; they would be lost. "
            f"Save what is needed, then: perennial fleet rebuild {name}"
        )
    if not positions(own) and positions(source) and not source["binlog_complete"]:
        raise TopologyError(
            f"{name} is empty and {writer} no longer keeps the binary logs from its beginning; "
            f"it needs a copy of the data first: perennial fleet rebuild {name}"
        )


class Server:
    """The server on this host."""

    def __init__(self, socket: str) -> None:
        cursors = pymysql.cursors.DictCursor
        self._connection = pymysql.connect(
            unix_socket=socket, user="root", autocommit=True, cursorclass=cursors
        )
        self.close = self._connection.close

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a statement."""
        with self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())

    def state(self) -> State:
        """Return everything that decisions are made from."""
        query = (
            "SELECT @@global.server_id AS server_id, @@global.read_only AS read_only, "
            "@@global.gtid_binlog_state AS binlog_state, @@global.gtid_slave_pos AS replica_position"
        )
        state = self.rows(query)[0]
        logs = self.rows("SHOW BINARY LOGS")
        state["read_only"] = bool(state["read_only"])
        state["binlog_complete"] = bool(logs) and logs[0]["Log_name"].endswith(".000001")
        state["replica"] = self.replica()
        return state

    def replica(self) -> dict[str, Any] | None:
        """Return how this server replicates, or None."""
        status = self.rows("SHOW REPLICA STATUS")
        return {key: status[0][key] for key in REPLICA_FACTS} if status else None

    def promote(self) -> None:
        """Apply what has been received, stop following, take writes."""
        replica = self.replica()
        if replica:
            if replica["Slave_SQL_Running"] == "Yes" and replica["Gtid_IO_Pos"]:
                waited = self.rows("SELECT MASTER_GTID_WAIT(%s, 30) AS timed_out", replica["Gtid_IO_Pos"])
                if waited[0]["timed_out"]:
                    raise TopologyError("received transactions were not applied within 30 s")
            self.rows("STOP ALL REPLICAS")
            self.rows("RESET REPLICA ALL")
        self.rows("SET GLOBAL read_only = OFF")

    def follow(self, source: dict[str, Any]) -> None:
        """Replicate from `source`, beginning after the newest transaction that is here."""
        self.rows("SET GLOBAL read_only = ON")
        self.rows("STOP ALL REPLICAS")
        # A former writer's own transactions are in its binary log only; the position has to know them.
        self.rows("SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos")
        self.rows(
            "CHANGE MASTER TO MASTER_HOST=%s, MASTER_PORT=%s, MASTER_USER=%s, MASTER_PASSWORD=%s, "
            "MASTER_SSL=1, MASTER_SSL_CA=%s, MASTER_SSL_VERIFY_SERVER_CERT=1, MASTER_USE_GTID=slave_pos, "
            "MASTER_CONNECT_RETRY=%s, MASTER_HEARTBEAT_PERIOD=%s",
            source["host"], int(source["port"]), source["user"], source["password"], source["authority"],
            RETRY_SECONDS, HEARTBEAT_SECONDS,
        )  # fmt: skip

    def wait_until_following(self, seconds: int) -> None:
        """Return when both threads have run for a second; raise TopologyError with the server's own words."""
        deadline = time.monotonic() + seconds
        since = None
        while since is None or time.monotonic() - since < SETTLE_SECONDS:
            replica = self.replica() or {}
            if (replica["Slave_IO_Running"], replica["Slave_SQL_Running"]) == ("Yes", "Yes"):
                since = since or time.monotonic()
            else:
                since = None
                problem = f"{replica['Last_IO_Error']} {replica['Last_SQL_Error']}".strip()
                hopeless = replica["Last_SQL_Errno"] or replica["Last_IO_Errno"] not in TRANSIENT
                if hopeless or time.monotonic() > deadline:
                    raise TopologyError(f"replication does not start: {problem or 'no connection yet'}")
            time.sleep(0.2)


def follows(replica: dict[str, Any] | None, source: dict[str, Any]) -> bool:
    """Tell whether a server is set up to replicate from `source`, password and authority included."""
    if replica is None:
        return False
    names = {"host": "Host", "port": "Port", "user": "User", "authority": "SSL_CA_File"}
    there = {name: replica[f"Master_{column}"] for name, column in names.items()}
    there["password"] = MASTER_INFO.read_text("utf-8").splitlines()[MASTER_INFO_PASSWORD_LINE]
    secure = (replica["Master_SSL_Allowed"], replica["Master_SSL_Verify_Server_Cert"]) == ("Yes", "Yes")
    wanted = {**source, "port": int(source["port"])}
    return secure and replica["Using_Gtid"] == "Slave_Pos" and there == wanted


def write(module: AnsibleModule, server: Server, writer: str) -> bool:
    """Make this server the writer where it was elected; return whether something changed."""
    own = server.state()
    if writer != module.params["name"] or (not own["read_only"] and own["replica"] is None):
        return False
    if not module.check_mode:
        server.promote()
    return True


def replicate(module: AnsibleModule, server: Server, writer: str) -> bool:
    """Make this server follow the writer; return whether something changed."""
    source = {**module.params["source"], "password": module.params["password"]}
    own = server.state()
    replica = own["replica"] or {"Slave_IO_Running": "No", "Slave_SQL_Running": "No"}
    right = follows(own["replica"], source) and own["read_only"]
    started = replica["Slave_IO_Running"] != "No" and replica["Slave_SQL_Running"] == "Yes"
    check_can_follow(module.params["name"], own, writer, module.params["nodes"][writer])
    if right and started and replica["Slave_IO_Running"] == "Yes":
        return False
    changed = not (right and started)  # a thread that is connecting needs patience, not a change
    if not module.check_mode:
        if not right:
            server.follow(source)
        if changed:
            server.rows("START REPLICA")
        server.wait_until_following(module.params["wait_seconds"])
    return changed


def run(module: AnsibleModule) -> dict[str, Any]:
    """Carry out one phase and return its result."""
    phase = module.params["phase"]
    try:
        server = Server(module.params["socket"])
    except pymysql.MySQLError:
        if phase != "read" or not module.check_mode:
            raise
        return {"state": None}
    try:
        if phase == "read":
            return {"state": server.state()}
        writer = elect(module.params["nodes"])
        act = write if phase == "writer" else replicate
        return {"changed": act(module, server, writer), "writer": writer}
    finally:
        server.close()


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "phase": {"type": "str", "default": "read", "choices": ["read", "writer", "replica"]},
            "name": {"type": "str"},
            "nodes": {"type": "dict"},
            "source": {"type": "dict"},
            "password": {"type": "str", "no_log": True},
            "socket": {"type": "path", "default": "/run/mysqld/mysqld.sock"},
            "wait_seconds": {"type": "int", "default": 60},
        },
        required_if=[("phase", phase, arguments) for phase, arguments in REQUIRED.items()],
        supports_check_mode=True,
    )
    if not HAS_PYMYSQL:
        if module.check_mode and module.params["phase"] == "read":
            module.exit_json(state=None)
        module.fail_json(msg="python3-pymysql is not installed on this host")
    try:
        module.exit_json(**run(module))
    except TopologyError as error:
        module.fail_json(msg=str(error))
    except pymysql.MySQLError as error:
        module.fail_json(msg=f"the server on this host refused: {error}")


if __name__ == "__main__":
    main()
