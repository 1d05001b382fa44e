# SPDX-License-Identifier: Apache-2.0
"""`perennial status`: how much of the plan is live, and what runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from infra.cli.common import AsJson, Env, out, print_json, table
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.health import Health
from infra.fleet.remote import SshRunner
from infra.inventory import FleetError, read_fleet
from infra.spec import Platform, load, nearest

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(epilog="Examples: perennial status · perennial status tech · perennial status --json")
def status(
    area: Annotated[str, typer.Argument(help="One area of the plan, such as content or tech.")] = "",
    env: Env = "lab",
    as_json: AsJson = False,
    nagios: Annotated[
        bool, typer.Option("--nagios", help="One line; exit 0 ok, 2 critical, 3 unknown.")
    ] = False,
) -> None:
    """Show n of 28 clauses of the plan live, and whether the hosts are healthy."""
    platform = load(env)
    areas = sorted({clause.partition(".")[0] for clause in platform.plan})
    if area and area not in areas:
        near = nearest(area, areas)
        raise PerennialError(
            f"no area {area!r}", nearest=near, next_=f"one of: {', '.join(areas)}", code=Exit.USAGE
        )
    report = _plan(platform, area) | _running(env)
    if nagios:
        raise typer.Exit(_nagios(env, report))
    if as_json:
        print_json(report)
        return
    out.print(f"[bold]{report['live']} of {report['clauses']}[/bold] clauses of the plan are live")
    if area:
        rows = [
            (name, clause.state, clause.title.en)
            for name, clause in platform.plan.items()
            if name.startswith(area)
        ]
        table("", ("clause", "state", "duty"), rows)
    out.print(report["running"], markup=False)
    for problem in report["problems"]:
        out.print(f"  {problem}", markup=False)


def _plan(platform: Platform, area: str) -> dict[str, Any]:
    clauses = [clause for name, clause in platform.plan.items() if not area or name.partition(".")[0] == area]
    return {"live": sum(clause.state == "live" for clause in clauses), "clauses": len(clauses)}


def _running(env: str) -> dict[str, Any]:
    """Return how many hosts are healthy; an environment without machines is a state, not an error."""
    try:
        fleet = read_fleet(env)
    except FleetError as error:
        return {"running": f"{env} does not run: {error}", "healthy": None, "hosts": 0, "problems": []}
    enabled = [host for host in fleet.platform.hosts.values() if not host.disabled]
    states = Health(fleet.platform, SshRunner(fleet)).hosts(enabled)
    healthy = sum(state.healthy for state in states)
    problems = [f"{state.host}: {'; '.join(state.problems)}" for state in states if state.problems]
    words = f"{env}: {healthy} of {len(states)} hosts healthy"
    return {"running": words, "healthy": healthy, "hosts": len(states), "problems": problems}


def _nagios(env: str, report: dict[str, Any]) -> int:
    """Print one line in the form that Nagios reads and return its code."""
    if report["healthy"] is None:
        print(f"PERENNIAL UNKNOWN - {report['running']}")
        return 3
    word, code = ("OK", 0) if report["healthy"] == report["hosts"] else ("CRITICAL", 2)
    problems = f": {'; '.join(report['problems'])}" if report["problems"] else ""
    print(f"PERENNIAL {word} - {env} {report['healthy']}/{report['hosts']} hosts healthy{problems}")
    return code
