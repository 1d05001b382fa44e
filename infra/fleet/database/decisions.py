# SPDX-License-Identifier: Apache-2.0
"""Who may become the writer and who may follow: judged from what servers said, nothing is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.fleet.database import gtid
from infra.fleet.exits import Exit, PerennialError

if TYPE_CHECKING:
    from infra.fleet.database.state import Server, Situation

LAG_MOST_SECONDS = 0.5
TRANSACTION_MOST_SECONDS = 1.0


def refused(what: str, where: str, next_: str = "") -> PerennialError:
    """Return the error (4) of a guard."""
    return PerennialError(what, where=where, next_=next_, code=Exit.REFUSED)


def the_writer(situation: Situation) -> Server:
    """Return the one writer; raise PerennialError (4) where there is none, or more than one."""
    writers = situation.writers
    if len(writers) == 1:
        return writers[0]
    if writers:
        names = ", ".join(server.host for server in writers)
        raise refused("more than one server takes writes", names, "perennial runbook show MariaDBTwoWriters")
    silent = "; ".join(f"{name} does not answer: {why}" for name, why in situation.silent.items())
    what = f"no server that answers takes writes{f' ({silent})' if silent else ''}"
    raise refused(what, "database", "perennial fleet failover")


def errant(own: Server, writer: Server) -> list[gtid.Span]:
    """Return the transactions of `own` that the writer never had.

    The writer was read a moment apart, so its own newest transactions do not count in a running replica.
    """
    found = gtid.missing(writer.transactions, own.transactions)
    return [span for span in found if not (own.follows and span.server == writer.server_id)]


def against_switchover(situation: Situation, candidate: str) -> list[str]:
    """Return every reason not to switch over to `candidate` now; none means go."""
    writer = the_writer(situation)
    reasons = [f"{name} does not answer: {why}" for name, why in situation.silent_edges.items()]
    reasons += [
        f"{edge.host} lets no connection in already" for edge in situation.edges.values() if not edge.limit
    ]
    if not situation.edges:
        reasons.append("no edge answers: writes cannot be held")
    if writer.transaction_seconds > TRANSACTION_MOST_SECONDS:
        reasons.append(f"{writer.host} has a transaction open for {writer.transaction_seconds:.1f} s")
    if not (writer.semi_sync_waits and writer.semi_sync_clients):
        reasons.append(f"semi-synchronous replication is off on {writer.host}")
    if candidate not in situation.servers:
        why = situation.silent.get(candidate, "it is no enabled database host")
        return [*reasons, f"{candidate} does not answer: {why}"]
    return reasons + _against_candidate(situation.servers[candidate], writer)


def _against_candidate(candidate: Server, writer: Server) -> list[str]:
    name = candidate.host
    if not candidate.follows or candidate.replica.get("Master_Server_Id") != writer.server_id:
        return [f"{name} does not replicate from {writer.host}"]
    reasons = []
    if candidate.lag is None or candidate.lag > LAG_MOST_SECONDS:
        reasons.append(f"{name} is {candidate.lag} s behind (at most {LAG_MOST_SECONDS})")
    if spans := errant(candidate, writer):
        reasons.append(f"{name} has transactions that {writer.host} never had: {listed(spans)}")
    return reasons


def listed(spans: list[gtid.Span]) -> str:
    """Return spans as people read them."""
    return ", ".join(str(span) for span in spans)


def choose_candidate(situation: Situation) -> str:
    """Return the replica to switch over to: the first by name that nothing speaks against.

    Raises PerennialError (4) with the reasons of each where there is none.
    """
    writer = the_writer(situation)
    others = sorted({*situation.servers, *situation.silent} - {writer.host})
    found = {name: against_switchover(situation, name) for name in others}
    for name, reasons in found.items():
        if not reasons:
            return name
    why = "; ".join(dict.fromkeys(reason for reasons in found.values() for reason in reasons))
    raise refused(
        why or "there is no other server", f"switchover from {writer.host}", "perennial fleet status"
    )


def elect(situation: Situation, wanted: str = "") -> Server:
    """Return the server to promote where none takes writes: the one with every received transaction.

    Among equals it is the one that others follow, then the first by name. Raises PerennialError (4) while
    a server takes writes, or one that does not answer is still in use, and where no server has everything.
    """
    if situation.writers:
        names = ", ".join(server.host for server in situation.writers)
        raise refused("still takes writes: nothing was lost", names, "perennial fleet switchover")
    _require_gone(situation)
    answered = list(situation.servers.values())
    if not answered:
        why = "; ".join(f"{name}: {why}" for name, why in situation.silent.items())
        raise refused(f"no database server answers ({why})", "failover", "perennial runbook show MariaDBDown")
    full = [one for one in answered if all(gtid.covers(one.received, other.received) for other in answered)]
    if wanted:
        full = [one for one in full if one.host == wanted]
    if not full:
        what = (
            f"{wanted} lacks transactions of another server" if wanted else "no server has all transactions"
        )
        raise refused(what, "failover", "perennial runbook show MariaDBNoWriter (Escalation)")
    return min(full, key=lambda one: (bool(one.replica), one.host))


def _require_gone(situation: Situation) -> None:
    """Refuse while an edge or a replica still reaches a server that does not answer here."""
    for name in situation.silent:
        seen = [edge.host for edge in situation.edges.values() if name in edge.up]
        seen += [one.host for one in situation.servers.values() if one.follows and _source(one) == name]
        if seen:
            what = f"does not answer here, but {', '.join(seen)} still reaches it"
            raise refused(what, name, "perennial fleet status")


def _source(server: Server) -> str:
    """Return the host that a server replicates from, by the first label of its name."""
    return str(server.replica.get("Master_Host", "")).partition(".")[0]


def lost_writer(situation: Situation, candidate: Server) -> str:
    """Return the server whose loss may have taken transactions along; '' where every server answers."""
    if not situation.silent:
        return ""
    source = _source(candidate)
    return source if source in situation.silent else min(situation.silent)
