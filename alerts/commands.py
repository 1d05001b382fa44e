# SPDX-License-Identifier: Apache-2.0
"""`perennial drill`: shows on a disposable platform that an alert fires and that its page mends the fault."""

from __future__ import annotations

from typing import Annotated

import typer

from alerts.drill import case as cases
from alerts.drill import result as results
from alerts.drill.engine import Drill
from infra.cli.common import AsJson, Env, Yes, agreed, err, fleet_of, new_app, print_json, table
from infra.fleet import guards, journal
from infra.fleet.exits import Exit
from infra.fleet.remote import SshRunner
from infra.runbook.monitoring import LiveMonitoring
from infra.runbook.rules import alerts

app = new_app(
    "Show that an alert fires and that its page mends the fault; on disposable environments only.",
    "perennial drill list",
    "perennial drill run NginxDown",
    "perennial drill run NginxDown --control null",
)
SCRAPE_QUERY = 'prometheus_target_interval_length_seconds{quantile="0.5"}'


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List every alert with its faults and how often they were drilled; reaches no host."""
    drilled = results.read()
    found = {case.alert: case for case in cases.every()}
    rows = []
    for name, alert in alerts().items():
        case = found.get(name)
        faults = [fault.name for fault in case.faults] if case else []
        shown = [drilled.get(f"{name}/{fault}", {}) for fault in faults]
        counts = [f"{one.get('k', 0)}/{one.get('n', 0)}" for one in shown]
        why = case.unshown if case else "no drill"
        rows.append(
            {"alert": name, "severity": alert.severity, "faults": faults, "passed": counts, "why": why}
        )
    if as_json:
        print_json(rows)
        return
    lines = [
        (
            str(row["alert"]), str(row["severity"]),
            ", ".join(f"{name} {count}" for name, count in zip(row["faults"], row["passed"], strict=True)),
            str(row["why"]),
        )
        for row in rows
    ]  # fmt: skip
    table("drills (passed/done)", ("alert", "severity", "faults", ""), lines)


@app.command()
def run(
    names: Annotated[list[str], typer.Argument(help="Alerts, or alert/fault.")],
    env: Env = "lab",
    *,
    control: Annotated[
        str, typer.Option("--control", help="null: the page only looks; broken: its first change fails.")
    ] = "",
    record: Annotated[bool, typer.Option("--record", help="Count it in tests/evidence/drills.json.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Inject each fault, wait for the alert, run its page unattended, and check; exit 1 where one fails."""
    fleet = fleet_of(env)
    guards.require_disposable(fleet.platform, "a drill")
    chosen = []
    for name in names:
        alert, _, wanted = name.partition("/")
        case = cases.read(alert)
        chosen += [(case, one) for one in case.faults if wanted in {"", one.name}]
    plan = [f"break {one.host} ({case.alert}/{one.name}), then let its page mend it" for case, one in chosen]
    if not agreed(env, plan, dry_run=False, yes=yes):
        return
    monitoring = LiveMonitoring(fleet)
    done = []
    with journal.act(
        env, f"perennial drill run {' '.join(names)}", reason="drill", hosts=[], fleet=fleet
    ) as act:
        drill = Drill(
            fleet.platform,
            SshRunner(fleet, dry_run=False),
            monitoring,
            scrape=scrape_seconds(monitoring),
            say=lambda text: err.print(f"  {text}", markup=False),
        )
        for case, fault in chosen:
            act.change(fault.host)
            result = drill.run(case, fault, control)
            done.append(result)
            err.print(result.line(), markup=False)
            if record and not control:
                results.write(case, fault, result, env)
        act.outcome = verdict(done)
    if as_json:
        print_json([vars(result) for result in done])
    if act.outcome is not Exit.DONE:
        raise typer.Exit(act.outcome)


def scrape_seconds(monitoring: LiveMonitoring) -> float:
    """Return how often Prometheus reads and judges, in seconds, as it says itself."""
    values = [float(line.rsplit(" ", 1)[1]) for line in monitoring.query(SCRAPE_QUERY)]
    return max(values, default=15.0)


def verdict(done: list[results.Result]) -> Exit:
    """Return DONE, FAILED, or INVALID_MEASUREMENT where monitoring did not hold and nothing else failed."""
    if any(result.valid and not result.passed for result in done):
        return Exit.FAILED
    return Exit.DONE if all(result.valid for result in done) else Exit.INVALID_MEASUREMENT
