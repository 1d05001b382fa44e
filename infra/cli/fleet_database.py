# SPDX-License-Identifier: Apache-2.0
"""`perennial fleet` for databases: switchover, failover, rejoin, rebuild."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.common import AsJson, DryRun, Env, Reason, Yes, fleet_of, print_json
from infra.cli.fleet_acts import acting
from infra.fleet import guards
from infra.fleet.database import failover as failing
from infra.fleet.database import rebuild as rebuilding
from infra.fleet.database import rejoin as rejoining
from infra.fleet.database import server
from infra.fleet.database import switchover as switching
from infra.fleet.database.state import View
from infra.fleet.exits import PerennialError
from infra.fleet.health import Health
from infra.fleet.remote import SshRunner
from infra.fleet.session import sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.inventory import Fleet

To = Annotated[str, typer.Option("--to", help="The server to write; by default the first that may.")]
Confirm = Annotated[str, typer.Option("--confirm", help="'ENV HOST', for what cannot be undone.")]
Host = Annotated[str, typer.Argument(help="A database host.")]


@contextmanager
def _view(fleet: Fleet) -> Iterator[View]:
    """Hold sessions with all database servers and edges."""
    with sessions(fleet) as opened:
        yield View(fleet.platform, opened).open()


def _names(fleet: Fleet) -> list[str]:
    return [host.name for host in fleet.platform.with_role("database", enabled_only=True)]


def _sources(fleet: Fleet) -> dict[str, server.Source]:
    hosts = fleet.platform.with_role("database", enabled_only=True)
    return {host.name: server.source_of(fleet, host) for host in hosts}


def switchover(
    to: To = "", env: Env = "lab", reason: Reason = "maintenance", dry_run: DryRun = False, yes: Yes = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make another database server the writer; writes wait a moment at the edges and none fails."""
    fleet = fleet_of(env)
    with _view(fleet) as view:
        situation, candidate = switching.plan(view, to)
        Health(fleet.platform, SshRunner(fleet)).require([fleet.platform.hosts[candidate]], seconds=0)
        plan = switching.words(situation, candidate)
        command = f"fleet switchover --to {candidate}"
        with acting(fleet, command, plan, _names(fleet), reason, dry_run=dry_run, yes=yes) as act:
            if act is None:
                return
            # Asking takes time: what was true before the question is looked at again.
            situation, candidate = switching.plan(view, candidate)
            act.change(*situation.servers, *situation.edges)
            timeline = switching.Switchover(view, situation, candidate, _sources(fleet)).run()
    if as_json:
        print_json({"writer": candidate, **vars(timeline)})
    else:
        print(f"{candidate} writes; new connections waited {timeline.held:.3f} s")


def failover(
    to: To = "", env: Env = "lab", reason: Reason = "loss of the writer", confirm: Confirm = "",
    dry_run: DryRun = False, yes: Yes = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """After the loss of the writer, make the server with every received transaction the writer."""
    fleet = fleet_of(env)
    with _view(fleet) as view:
        situation, candidate = failing.plan(view, to)
        lost = failing.loss(situation, candidate, _prometheus(fleet))
        plan = failing.words(situation, candidate, lost)
        if not dry_run:
            _require_certain(fleet, candidate.host, lost, confirm)
        command = f"fleet failover --to {candidate.host}"
        with acting(fleet, command, plan, _names(fleet), reason, dry_run=dry_run, yes=yes) as act:
            if act is None:
                return
            situation, candidate = failing.plan(view, candidate.host)
            act.change(*situation.servers, *situation.edges)
            runner = SshRunner(fleet, dry_run=False)
            took = failing.Failover(view, situation, candidate.host, _sources(fleet), runner).run()
    if as_json:
        print_json({"writer": candidate.host, "seconds": took, "semi_sync": lost.semi_sync})
    else:
        print(f"{candidate.host} writes, {took['led']:.1f} s after the first step")


def _prometheus(fleet: Fleet) -> Callable[[str], list[str]]:
    """Return what answers PromQL; its client is imported only here, `--help` would wait for it."""
    from infra.runbook.monitoring import LiveMonitoring  # noqa: PLC0415

    return LiveMonitoring(fleet).query


def _require_certain(fleet: Fleet, host: str, lost: failing.Loss, confirm: str) -> None:
    """Ask for a confirmation of its own where acknowledged writes may be lost."""
    if lost.certain:
        return
    try:
        guards.require_confirmation(fleet.platform, host, confirm or None)
    except PerennialError as error:
        what = f"acknowledged writes may be lost: semi-synchronous replication was {lost.semi_sync}"
        what += f" ({lost.why}); {error.what}"
        raise PerennialError(what, where=error.where, next_=error.next, code=error.code) from error


def rejoin(
    host: Host, env: Env = "lab", reason: Reason = "a server came back", dry_run: DryRun = False,
    yes: Yes = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Let a database server that came back follow the writer; name the transactions that forbid it."""
    fleet = fleet_of(env)
    with _view(fleet) as view:
        situation = view.situation()
        writer = rejoining.plan(situation, host, env)
        if rejoining.follows_already(situation, host, writer):
            print(f"{host} follows {writer.host} already")
            return
        plan = rejoining.words(situation, host, writer)
        with acting(fleet, f"fleet rejoin {host}", plan, [host], reason, dry_run=dry_run, yes=yes) as act:
            if act is None:
                return
            writer = rejoining.plan(view.situation(), host, env)
            act.change(host)
            rejoining.carry_out(view, host, writer.host, _sources(fleet)[writer.host])
    if as_json:
        print_json({"host": host, "follows": writer.host})
    else:
        print(f"{host} follows {writer.host}")


def rebuild(
    host: Host, env: Env = "lab", reason: Reason = "replica made anew", confirm: Confirm = "",
    dry_run: DryRun = False, yes: Yes = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Delete a replica's data and make it anew from the writer; needs --confirm 'ENV HOST'."""
    fleet = fleet_of(env)
    with _view(fleet) as view:
        writer = rebuilding.plan(view.situation(), host)
        plan = rebuilding.words(host, writer)
        if not dry_run:
            guards.require_confirmation(fleet.platform, host, confirm or None)
        with acting(fleet, f"fleet rebuild {host}", plan, [host], reason, dry_run=dry_run, yes=yes) as act:
            if act is None:
                return
            writer = rebuilding.plan(view.situation(), host)
            act.change(host)
            source, runner = _sources(fleet)[writer.host], SshRunner(fleet, dry_run=False)
            known = writer.transactions
            took = rebuilding.Rebuild(fleet, view, runner, host, writer.host, known, source).run()
    if as_json:
        print_json({"host": host, "follows": writer.host, "seconds": took})
    else:
        print(f"{host} was made anew and follows {writer.host}")


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group `fleet`."""
    app.command(epilog="Example: perennial fleet switchover --to db-2 --reason 'kernel update'")(switchover)
    app.command(epilog="Example: perennial fleet failover --dry-run")(failover)
    app.command(epilog="Example: perennial fleet rejoin db-1")(rejoin)
    app.command(epilog="Example: perennial fleet rebuild db-1 --confirm 'lab db-1'")(rebuild)
