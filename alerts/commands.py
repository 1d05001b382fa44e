# SPDX-License-Identifier: Apache-2.0
"""`perennial drill`: shows on a disposable platform that an alert fires and that its page mends the fault."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from alerts.drill import case as cases
from alerts.drill import history
from alerts.drill import result as results
from alerts.drill.control import CONTROLS
from alerts.drill.engine import Drill
from alerts.drill.together import One, Together
from infra.cli.common import AsJson, Env, Yes, agreed, err, fleet_of, new_app, print_json, table
from infra.fleet import guards, journal
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.remote import SshRunner
from infra.fleet.target import visited
from infra.runbook.monitoring import LiveMonitoring
from infra.runbook.rules import alerts
from infra.spec import nearest
from loadtests.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet

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
    names: Annotated[list[str] | None, typer.Argument(help="Alerts, or alert/fault; all by default.")] = None,
    env: Env = "lab",
    *,
    control: Annotated[
        str, typer.Option("--control", help=f"A drill that must go red: {', '.join(CONTROLS)}.")
    ] = "",
    together: Annotated[int, typer.Option("--together", help="So many side by side.", min=1, max=4)] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Leave out what passed as it is.")] = False,
    minutes: Annotated[float, typer.Option("--minutes", help="Begin no drill later.", min=1)] = 150,
    record: Annotated[bool, typer.Option("--record", help="Count it in tests/evidence/drills.json.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Inject each fault, wait for the alert, run its page unattended, and check; exit 1 where one fails."""
    fleet = fleet_of(env)
    guards.require_disposable(fleet.platform, "a drill")
    if control and control not in CONTROLS:
        raise PerennialError(f"no control {control!r}", nearest=nearest(control, CONTROLS), code=Exit.USAGE)
    ones = [one._replace(control=control) for one in chosen(names or [], resume=resume)]
    plan = [f"break {one.fault.host} ({one.name}), then let its page mend it" for one in ones]
    if not ones or not agreed(env, plan, dry_run=False, yes=yes):
        return
    command = f"perennial drill run {' '.join(names or ['all'])}"
    with journal.act(env, command, reason="drill", hosts=[], fleet=fleet) as act:
        act.change(*(one.fault.host for one in ones))
        done = carry_out(fleet, ones, together, minutes, record=record)
        act.outcome = verdict(done)
    if as_json:
        print_json([vars(result) for result in done])
    else:
        passed = sum(result.passed for result in done)
        print(f"{passed}/{len(done)} drills passed, {len(ones) - len(done)} not begun")
    if act.outcome is not Exit.DONE:
        raise typer.Exit(act.outcome)


def chosen(names: list[str], *, resume: bool) -> list[One]:
    """Return the faults that `names` mean, all without; `resume` leaves out what passed as it is."""
    found = []
    for name in names or [case.alert for case in cases.every()]:
        alert, _, wanted = name.partition("/")
        case = cases.read(alert)
        faults = [fault for fault in case.faults if wanted in {"", fault.name}]
        if wanted and not faults:
            hint = nearest(wanted, [fault.name for fault in case.faults])
            raise PerennialError(f"{alert} has no fault {wanted!r}", nearest=hint, code=Exit.USAGE)
        found += [One(case, fault) for fault in faults if not (resume and results.passed(case, fault))]
    return found


def carry_out(
    fleet: Fleet, ones: list[One], most: int, minutes: float, *, record: bool
) -> list[results.Result]:
    """Drill `ones`, `most` at a time, and return what was found; none is begun after `minutes`."""
    monitoring = LiveMonitoring(fleet)
    together, done = Together(fleet.platform, most), []
    drill = Drill(
        fleet.platform,
        SshRunner(fleet, dry_run=False),
        monitoring,
        scrape=scrape_seconds(monitoring),
        say=lambda text: err.print(f"  {text}", markup=False),
        load=lambda rate: load(fleet, rate),
        elsewhere=together.elsewhere,
    )

    def told(one: One, result: results.Result) -> None:
        """Say and keep what a drill found."""
        done.append(result)
        err.print(result.line(), markup=False)
        if record and not one.control:
            results.write(one.case, one.fault, result, fleet.platform.name)

    try:
        together.run(ones, lambda one: drill.run(*one), told, seconds=minutes * 60)
    finally:
        if record:
            history.refresh()
    return done


@contextmanager
def load(fleet: Fleet, rate: float) -> Iterator[None]:
    """Send `rate` requests a second for pages that no cache has, while the block runs."""
    if not rate:
        yield
        return
    guards.require_load(fleet.platform, rate)
    with (
        visited(fleet, next(iter(fleet.platform.sites))) as site,
        Probe(replace(site, path="/?s=drill"), rate=rate, timeout=20),
    ):
        yield


def scrape_seconds(monitoring: LiveMonitoring) -> float:
    """Return how often Prometheus reads and judges, in seconds, as it says itself."""
    values = [float(line.rsplit(" ", 1)[1]) for line in monitoring.query(SCRAPE_QUERY)]
    return max(values, default=15.0)


def verdict(done: list[results.Result]) -> Exit:
    """Return DONE, FAILED, or INVALID_MEASUREMENT where monitoring did not hold and nothing else failed."""
    if all(result.passed for result in done):
        return Exit.DONE
    failed = any(result.valid and not result.passed for result in done)
    return Exit.FAILED if failed else Exit.INVALID_MEASUREMENT
