# SPDX-License-Identifier: Apache-2.0
"""`perennial fleet`: look at hosts and act on them."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli import fleet_acts as acts
from infra.cli import fleet_database
from infra.cli.common import AsJson, DryRun, Env, Reason, Yes, err, fleet_of, new_app, out, print_json, table
from infra.fleet import lock, selection
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.health import Health
from infra.fleet.journal import Journal, journal_directory
from infra.fleet.pool import Pool
from infra.fleet.remote import SshRunner, run_many
from infra.spec import load

app = new_app(
    "Look at hosts and act on them. Hosts are names, roles, globs such as 'app-*', or all.",
    "perennial fleet status",
    "perennial fleet run app -- uptime",
    "perennial fleet drain app-1 --reason 'disk swap'",
    "perennial fleet restart app php8.4-fpm",
    "perennial fleet switchover --to db-2",
)
fleet_database.add_to(app)
Hosts = Annotated[list[str], typer.Argument(help="Names, roles, globs, or all.")]
Host = Annotated[str, typer.Argument(help="Name of one host.")]


@app.command("list", epilog="Example: perennial fleet list edge --json")
def list_(
    hosts: Annotated[list[str] | None, typer.Argument(help="Names, roles, globs; all by default.")] = None,
    env: Env = "lab",
    as_json: AsJson = False,
) -> None:
    """List hosts as described; reaches none."""
    platform = load(env)
    chosen = selection.select(platform, hosts) if hosts else tuple(platform.hosts.values())
    if as_json:
        print_json(
            [{"name": h.name, "address": h.address, "roles": h.roles, "disabled": h.disabled} for h in chosen]
        )
        return
    rows = [
        (h.name, h.address, ", ".join(h.roles[1:]), h.size_name, "disabled" if h.disabled else "")
        for h in chosen
    ]
    table(f"hosts of {env}", ("host", "address", "roles", "size", ""), rows)


@app.command(epilog="Example: perennial fleet status --json")
def status(env: Env = "lab", as_json: AsJson = False) -> None:
    """Ask every enabled host for its health, and the edges for the pool; exit 1 when something is wrong."""
    fleet = fleet_of(env)
    runner = SshRunner(fleet)
    states = Health(fleet.platform, runner).hosts(h for h in fleet.platform.hosts.values() if not h.disabled)
    members, pool_problem = [], ""
    try:
        members = Pool(fleet.platform, runner).status()
    except PerennialError as error:
        pool_problem = str(error)
    if as_json:
        hosts = [{"host": s.host, "healthy": s.healthy, "problems": s.problems} for s in states]
        print_json({"hosts": hosts, "pool": [vars(m) for m in members], "pool_problem": pool_problem})
    else:
        seen = {s.host: [f"{m.edge}: {m.status}" for m in members if m.host == s.host] for s in states}
        rows = [
            (s.host, "healthy" if s.healthy else "; ".join(s.problems), ", ".join(seen[s.host]))
            for s in states
        ]
        disabled = [(h.name, "disabled", "") for h in fleet.platform.hosts.values() if h.disabled]
        table(f"health of {env}", ("host", "health", "in the pool of"), [*rows, *disabled])
    if pool_problem and not as_json:
        err.print(f"pool: {pool_problem}", markup=False)
    if pool_problem or not all(state.healthy for state in states):
        raise typer.Exit(Exit.FAILED)


@app.command(
    epilog="Examples: perennial fleet run app -- uptime · perennial fleet run all --yes -- nft list tables",
)
def run(
    hosts: Annotated[str, typer.Argument(help="Names, roles, globs (comma between them), or all.")],
    command: Annotated[list[str], typer.Argument(help="The command and its words, after --.")],
    *,
    env: Env = "lab",
    user: Annotated[bool, typer.Option("--as-user", help="Not as root.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds.", min=1)] = 60,
    reason: Reason = "ad hoc command",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Run one command on several hosts at the same time; it is journaled as a change."""
    fleet = fleet_of(env)
    names = [host.name for host in selection.select(fleet.platform, hosts.split(","))]
    plan = [f"run on {', '.join(names)}: {' '.join(command)}"]
    with acts.acting(fleet, f"fleet run {hosts}", plan, names, reason, dry_run=dry_run, yes=yes) as act:
        if act is None:
            return
        act.change(*names)
        runner = SshRunner(fleet, dry_run=False)
        results = run_many(runner, names, command, timeout=timeout, root=not user)
        failed = [name for name, result in results.items() if not result.ok]
        act.outcome = Exit.DONE if not failed else Exit.FAILED if len(failed) == len(names) else Exit.PARTIAL
    if as_json:
        print_json([vars(result) for result in results.values()])
    for result in () if as_json else results.values():
        out.print(f"[bold]{result.host}[/bold] exit {result.returncode}, {result.seconds:.1f} s")
        for line in (result.stdout + result.stderr).splitlines():
            out.print(f"  {line}", markup=False)
    if failed:
        raise typer.Exit(act.outcome)


@app.command(epilog="Example: perennial fleet drain app-1 --reason 'disk swap'")
def drain(
    host: Host,
    env: Env = "lab",
    reason: Reason = "maintenance",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take an application host out of service on every edge, or move the address off an edge."""
    acts.take_out(fleet_of(env), host, reason, dry_run=dry_run, yes=yes, as_json=as_json)


@app.command(epilog="Example: perennial fleet silence db-2 --minutes 60 --reason 'disk swap'")
def silence(
    hosts: Hosts,
    reason: Annotated[str, typer.Option("--reason", help="Why; whoever is on call reads it.")],
    minutes: Annotated[float, typer.Option("--minutes", help="When it ends by itself; a day at most.")],
    env: Env = "lab",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Tell nobody of alerts of these hosts for a while; they stay visible in Alertmanager."""
    acts.silence(fleet_of(env), hosts, reason, minutes, dry_run=dry_run, yes=yes)


@app.command(epilog="Example: perennial fleet undrain app-1")
def undrain(
    host: Host,
    env: Env = "lab",
    reason: Reason = "maintenance",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put a host back into service, after proving it healthy."""
    acts.put_back(fleet_of(env), host, reason, dry_run=dry_run, yes=yes, as_json=as_json)


@app.command(
    epilog="Examples: perennial fleet restart app nginx php8.4-fpm · perennial fleet restart --needed"
)
def restart(
    hosts: Annotated[str, typer.Argument(help="A role, or hosts of one role.")] = "",
    units: Annotated[list[str] | None, typer.Argument(help="systemd units.")] = None,
    *,
    needed: Annotated[bool, typer.Option("--needed", help="What roles marked as restart needed.")] = False,
    reload: Annotated[bool, typer.Option("--reload", help="Reload gracefully instead.")] = False,
    accept_outage: Annotated[
        bool, typer.Option("--accept-outage", help="Also a member without a peer.")
    ] = False,
    env: Env = "lab",
    reason: Reason = "restart",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Restart units host by host within the disruption budget: drain, act, prove healthy, put back."""
    fleet = fleet_of(env)
    if needed == bool(hosts):
        message = "name hosts and units, or --needed"
        raise PerennialError(message, next_="perennial fleet restart --help", code=Exit.USAGE)
    if needed:
        reports = acts.restart_marked(fleet, reason, accept_outage=accept_outage, dry_run=dry_run, yes=yes)
        acts.tell(reports, as_json=as_json)
        return
    procedure = acts.procedure(fleet, hosts, tuple(units or ()), "reload" if reload else "restart")
    reports = acts.roll(fleet, procedure, reason, accept_outage=accept_outage, dry_run=dry_run, yes=yes)
    acts.tell(reports, as_json=as_json)


@app.command("lock", epilog="Example: perennial fleet lock --env lab")
def lock_(
    name: Annotated[str, typer.Argument(help="Name of the lock.")] = lock.FLEET,
    env: Env = "lab",
    as_json: AsJson = False,
) -> None:
    """Show who holds a lock of the fleet, why, and for how long; exit 8 when it is held."""
    fleet = fleet_of(env)
    host = lock.lock_host(fleet.platform)
    holder = lock.FleetLock(SshRunner(fleet), host, name, "look").holder()
    if as_json:
        print_json({"name": name, "host": host, "holder": _public(holder)})
    elif holder is None:
        print(f"lock {name} on {host} is free")
    else:
        words = f"held by {holder['owner']} for {holder['age']:.0f} s ({holder['reason']})"
        print(f"lock {name} on {host}: {words}; expires in {holder['expires_in']:.0f} s unless refreshed")
    if holder is not None and holder["expires_in"] > 0:
        raise typer.Exit(Exit.LOCKED)


def _public(holder: dict[str, object] | None) -> dict[str, object] | None:
    return None if holder is None else {key: value for key, value in holder.items() if key != "token"}


@app.command(epilog="Example: perennial fleet journal --last 5 --json")
def journal(
    env: Env = "lab",
    last: Annotated[int, typer.Option("--last", help="How many lines.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the last acts on a fleet as this machine recorded them."""
    lines = Journal(env, journal_directory(env)).lines()
    lines = [line for line in lines if line["environment"] == env][-last:]
    if as_json:
        print_json(lines)
        return
    rows = [
        (
            line["time"][:19].replace("T", " ") + "Z", line["event"], line["person"], line["command"],
            line["reason"], line.get("outcome", ""), f"{line['seconds']:.0f} s" if "seconds" in line else "",
        )
        for line in lines
    ]  # fmt: skip
    table(f"journal of {env}", ("time", "event", "person", "command", "reason", "outcome", "took"), rows)
