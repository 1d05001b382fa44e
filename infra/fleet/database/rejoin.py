# SPDX-License-Identifier: Apache-2.0
"""A server that came back becomes a replica, unless it has transactions that the writer never had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.fleet.database import server as act
from infra.fleet.database.decisions import errant, listed, refused, the_writer

if TYPE_CHECKING:
    from infra.fleet.database.server import Source
    from infra.fleet.database.state import Server, Situation, View


def plan(situation: Situation, host: str, environment: str) -> Server:
    """Return the writer that `host` is to follow; raise PerennialError (4) where it may not.

    Errant transactions are named, with the command that gives them up.
    """
    writer = the_writer(situation)
    if host == writer.host:
        raise refused("is the writer", host, "perennial fleet switchover")
    if host not in situation.servers:
        why = situation.silent.get(host, "it is no enabled database host")
        raise refused(f"does not answer: {why}", host, "perennial runbook show MariaDBDown")
    if spans := errant(situation.servers[host], writer):
        what = f"has transactions that the writer {writer.host} never had: {listed(spans)}"
        next_ = f"read them with mariadb-binlog on {host}; to give them up: perennial fleet rebuild {host}"
        raise refused(what, host, f"{next_} --env {environment} --confirm '{environment} {host}'")
    return writer


def follows_already(situation: Situation, host: str, writer: Server) -> bool:
    """Tell whether there is nothing to do."""
    own = situation.servers[host]
    return own.read_only and own.follows and own.replica.get("Master_Server_Id") == writer.server_id


def words(situation: Situation, host: str, writer: Server) -> list[str]:
    """Return the plan for people."""
    behind = "and goes on where it stopped" if situation.servers[host].transactions else "from its beginning"
    return [f"{host} stays read-only and follows {writer.host} {behind}"]


def carry_out(view: View, host: str, writer: str, source: Source) -> None:
    """Let `host` follow the writer, and the writer wait for it; raises PerennialError."""
    act.follow(view.databases[host], source)
    act.wait_until_following(view.databases[host])
    act.wait_until_acknowledged(view.databases[writer])
