# SPDX-License-Identifier: Apache-2.0
"""`perennial schedule`: what is planned, what ran, and running it now."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from infra.cli.common import AsJson, new_app, print_json, table
from infra.fleet import journal
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.remote import SshRunner
from infra.inventory import read_fleet
from infra.schedule import builtin, evidence
from infra.spec import derive, load, nearest

app = new_app(
    "List, run and judge the scheduled tasks.",
    "perennial schedule status",
    "perennial schedule run converge-check --env lab",
)

Environment = Annotated[
    str, typer.Option("--env", envvar="PERENNIAL_ENV", help="Environment, a file inventories/ENV.yml.")
]


@app.command("list")
def list_(env: Environment = "lab", as_json: AsJson = False) -> None:
    """Show every task: when, where, for which clause of the plan, and who owns it."""
    platform = load(env)
    rows = [
        {
            "task": task.id, "site": task.site, "host": host.name, "calendar": task.definition.calendar,
            "plan": task.definition.plan, "owner": task.definition.owner, "title": task.definition.title,
        }
        for host in platform.hosts.values()
        for task in derive.tasks_on(platform, host)
    ]  # fmt: skip
    _show(f"scheduled tasks of {env}", rows, as_json=as_json)


@app.command()
def status(env: Environment = "lab", as_json: AsJson = False) -> None:
    """Show when each task last succeeded; exit 1 where one failed, is late, never ran or cannot be seen."""
    states = list(evidence.states(read_fleet(env)))
    if as_json:
        print_json([asdict(state) for state in states])
    else:
        rows = [
            {
                "task": state.task, "site": state.site, "host": state.host, "state": state.verdict,
                "last success": _moment(state.last_success), "last run": _moment(state.last_run),
                "seconds": "" if state.seconds is None else f"{state.seconds:.1f}",
            }
            for state in states
        ]  # fmt: skip
        _show(f"scheduled tasks of {env}", rows, as_json=False)
    if not all(state.good for state in states):
        raise typer.Exit(Exit.FAILED)


@app.command()
def run(task: Annotated[str, typer.Argument(help="Name of a task.")], env: Environment = "lab") -> None:
    """Run a task now, where it belongs, and wait for its end; exit 1 where it fails."""
    platform = load(env)
    if task not in platform.tasks:
        hint = nearest(task, platform.tasks)
        raise PerennialError(
            f"no task {task!r}", where=env, nearest=hint, next_="perennial schedule list", code=Exit.USAGE
        )
    passed = builtin.run(task, env) if task in builtin.BUILTIN else _run_on_hosts(task, env)
    if not passed:
        raise typer.Exit(Exit.FAILED)


@app.command()
def journey(site: Annotated[str, typer.Argument(help="Name of a site.")], env: Environment = "lab") -> None:
    """Log in, post in private, comment, remove both and log out, as an author of SITE; exit 1 at a failure.

    The task site-journey runs this on the control host; a line for its metrics comes last, but on no screen.
    """
    # imported here: a client for HTTP costs more than all the rest of the other commands
    from infra import journey as journeys  # noqa: PLC0415

    fleet = read_fleet(env)
    if site not in fleet.platform.sites:
        hint = nearest(site, fleet.platform.sites)
        raise PerennialError(
            f"no site {site!r}",
            where=env,
            nearest=hint,
            next_=f"inventories/{env}.yml: sites",
            code=Exit.USAGE,
        )
    report = journeys.run(fleet, site)
    for line in report.lines():
        print(line)
    if not sys.stdout.isatty():
        passed = sum(not done.reason for done in report.steps)
        items = {"passed": passed, "failed": len(report.steps) - passed}
        print(json.dumps({"items": items, "samples": journeys.samples(report, site, time.time())}))
    if report.failed:
        raise typer.Exit(Exit.FAILED)


def _run_on_hosts(task: str, env: str) -> bool:
    """Start the task's service on each host that carries it and wait."""
    fleet = read_fleet(env)
    platform = fleet.platform
    places = [
        (host.name, made)
        for host in platform.hosts.values()
        for made in derive.tasks_on(platform, host)
        if made.id == task
    ]
    if not places:
        raise PerennialError(f"no enabled host runs {task!r}", where=env, code=Exit.USAGE)
    definition = platform.tasks[task]
    passed = True
    command = f"perennial schedule run {task}"
    with journal.act(
        env, command, reason=definition.title, hosts=[name for name, _ in places], fleet=fleet
    ) as act:
        runner = SshRunner(fleet, dry_run=False)
        for host, made in places:
            start = ["systemctl", "start", f"{made.unit}.service"]
            answer = runner.run(host, start, timeout=definition.deadline_seconds + 60)
            typer.echo(f"{host}: {made.unit}: {'done' if answer.ok else answer.last_line()}")
            passed = passed and answer.ok
        act.outcome = Exit.DONE if passed else Exit.FAILED
    return passed


def _moment(timestamp: float | None) -> str:
    return "never" if timestamp is None else f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%SZ}"


def _show(title: str, rows: list[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        table(title, list(rows[0]) if rows else [], [list(row.values()) for row in rows])
