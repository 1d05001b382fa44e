# SPDX-License-Identifier: Apache-2.0
"""`perennial runbook run`: which alert, its labels, the plan, the questions; infra/runbook does the rest."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.cli.common import agreed, err, fleet_of, print_json
from infra.fleet import guards, journal, lock
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.remote import SshRunner
from infra.inventory.fleet import FleetError
from infra.runbook import labels as variables
from infra.runbook import record as records
from infra.runbook.attempt import Bench
from infra.runbook.monitoring import Live, LiveMonitoring
from infra.runbook.output import excerpt
from infra.runbook.page import Class
from infra.runbook.record import State
from infra.runbook.rehearsal import LEFT_OUT
from infra.runbook.run import Answer, Run

if TYPE_CHECKING:
    from pathlib import Path

    from infra.inventory import Fleet
    from infra.runbook.monitoring import Monitoring
    from infra.runbook.page import Block, Page
    from infra.runbook.record import Record, Step
    from infra.spec import Platform


BAD = {State.FAILED, State.UNVERIFIABLE, State.ROLLBACK_FAILED}


@dataclass(frozen=True)
class Choice:
    """What the person chose on the command line."""

    labels: dict[str, str]
    fingerprint: str = ""
    dry_run: bool = False
    yes: bool = False
    confirm: str = ""
    resume: bool = False
    rollback: bool = False
    without_alert: bool = False
    as_json: bool = False
    reason: str = "alert"
    verbose: bool = False


def execute(fleet: Fleet, page: Page, choice: Choice) -> Exit:
    """Run a page, resume its last run or undo it; return the exit code. Raises PerennialError."""
    monitoring = LiveMonitoring(fleet)
    if choice.resume or choice.rollback:
        record = unfinished(page, fleet.platform.name, rollback=choice.rollback)
        if choice.dry_run:  # beside the record of the run, which stays as it is
            record = record.model_copy(update={"dry_run": True}, deep=True)
    else:
        live = the_alert(monitoring, page.path.stem, choice)
        if live is None:
            print(_quiet(monitoring, page.path.stem, fleet.platform.name))
            return Exit.DONE
        record = records.new(page, fleet.platform.name, live.labels, live.fingerprint, dry_run=choice.dry_run)
    run = assembled(fleet, page, record, monitoring, choice)
    return _acted(fleet, run, choice)


def _quiet(monitoring: Monitoring, alert: str, environment: str) -> str:
    """Say that an alert does not fire, whether it is about to, and how to look all the same."""
    waiting = monitoring.query(f'ALERTS{{alertname="{alert}", alertstate="pending"}}')
    if not waiting:
        return f"{alert} does not fire in {environment}: nothing to do"
    return (
        f"{alert} is about to fire in {environment} (its condition holds, not yet for long enough); "
        f"wait, or look now: --without-alert --label instance=HOST"
    )


def assembled(fleet: Fleet, page: Page, record: Record, monitoring: Monitoring, choice: Choice) -> Run:
    """Return the run of `page` with what the command line decides."""
    bench = Bench(
        SshRunner(fleet, dry_run=choice.dry_run), monitoring, record.labels, fleet.platform.name, record.run
    )
    return Run(
        page,
        fleet.platform,
        bench,
        record,
        ask=lambda block, hosts: answer(fleet, block, hosts, choice, record),
        say=lambda text: err.print(text, markup=False),
        show=lambda block, step, output: shown(block, step, output, record.log, verbose=choice.verbose),
        dry_run=choice.dry_run,
        still_firing=lambda: _fires(monitoring, record),
    )


def shown(block: Block, step: Step, output: str, log: Path, *, verbose: bool) -> None:
    """Print what matters of a block's answer; of a change that a dry run left out, its commands."""
    if block.changes and step.why.startswith(LEFT_OUT):
        lines = block.text.rstrip().splitlines()
    else:
        lines = excerpt(output, log, failed=step.state in BAD, whole=verbose)
    for line in lines:
        err.print(f"    {line}", markup=False, soft_wrap=True)


def _fires(monitoring: Monitoring, record: Record) -> bool:
    """Tell whether the run's alert still fires; a run without an alert, or without an answer, goes on."""
    if not record.fingerprint:
        return True
    try:
        return record.fingerprint in {live.fingerprint for live in monitoring.firing(record.alert)}
    except PerennialError as error:
        err.print(f"warning: {error}; going on", markup=False)
        return True


def the_alert(monitoring: Monitoring, alert: str, choice: Choice) -> Live | None:
    """Return the one firing alert that is meant, None where none fires.

    Raises PerennialError (64) where several fire, or none of those fits the labels or the fingerprint given.
    """
    if choice.without_alert:
        return Live("", {"alertname": alert, **choice.labels}, "", "")
    firing = monitoring.firing(alert)
    fitting = [
        live
        for live in firing
        if choice.labels.items() <= live.labels.items() and live.fingerprint.startswith(choice.fingerprint)
    ]
    if not firing or len(fitting) == 1:
        return fitting[0] if fitting else None
    shown = "; ".join(f"--fingerprint {live.fingerprint} ({live.summary})" for live in fitting or firing)
    what = f"{len(firing)} of them fire, {len(fitting)} of those fit"
    raise PerennialError(what, where=alert, next_=f"one of: {shown}", code=Exit.USAGE)


def known(environment: str, alert: str, choice: Choice) -> tuple[dict[str, str], Platform | None]:
    """Return the variables of a page that is read, and the platform if there is one.

    They are the labels of the alert that is meant and those given; a page is read without either too, then
    the reason is said.
    """
    labels = {variables.ENVIRONMENT: environment, **choice.labels}
    try:
        fleet = fleet_of(environment)
    except FleetError as error:
        err.print(f"note: {error}", markup=False)
        return labels, None
    try:
        live = the_alert(LiveMonitoring(fleet), alert, choice)
    except (PerennialError, FleetError) as error:
        err.print(f"note: {error}", markup=False)
        return labels, fleet.platform
    if live is None:
        err.print(f"note: {alert} does not fire in {environment}", markup=False)
        return labels, fleet.platform
    return {**variables.environment(live.labels), **labels}, fleet.platform


def unfinished(page: Page, environment: str, *, rollback: bool) -> Record:
    """Return the last run of a page, to resume or undo it; raise PerennialError where that makes no sense."""
    found = records.latest(page.path.stem, environment)
    where = f"{page.path.stem} in {environment}"
    if found is None:
        raise PerennialError("was never run from this machine", where=where, code=Exit.USAGE)
    if found.ended and found.outcome == Exit.DONE.outcome and not rollback:
        raise PerennialError(
            f"its last run ended at {found.ended}: nothing to resume", where=where, code=Exit.USAGE
        )
    if found.page != records.digest(page):
        raise PerennialError(
            "the page has changed since that run",
            where=str(found.path),
            next_=f"perennial runbook show {page.path.stem}",
            code=Exit.REFUSED,
        )
    return found


def answer(
    fleet: Fleet, block: Block, hosts: tuple[str, ...], choice: Choice, record: Record | None = None
) -> Answer:
    """Ask about one block that changes something; raise PerennialError (4) where nobody can be asked.

    With a record the question tells the values of variables and which looks led here.
    """
    about = block.attributes
    if about.kind is Class.DESTROY:
        guards.require_confirmation(fleet.platform, " ".join(hosts), choice.confirm or None)
        return Answer.RUN
    if about.confirm == "none" or choice.yes:
        return Answer.RUN
    err.print(f"\n{about.name} on {', '.join(hosts)} ({fleet.platform.name})", markup=False)
    for line in reasons(block, record) if record else ():
        err.print(f"  {line}", markup=False)
    for line in block.text.rstrip().splitlines():
        err.print(f"    {line}", markup=False)
    if not sys.stdin.isatty():
        raise PerennialError("nobody to ask here", where=about.name, next_="add --yes", code=Exit.REFUSED)
    said = err.input("  y = run it, s = skip it, Enter = stop here: ", markup=False).strip().lower()
    return {"y": Answer.RUN, "yes": Answer.RUN, "s": Answer.SKIP, "skip": Answer.SKIP}.get(said, Answer.STOP)


def reasons(block: Block, record: Record) -> list[str]:
    """Return why a change is asked for, and the values of the variables that its text names."""
    named = [*block.attributes.requires, *block.attributes.unless]
    looks = [step for step in (record.step(name) for name in named) if step is not None]
    because = [f"because {step.name}: {step.why or step.state}" for step in looks]
    values = {**variables.environment(record.labels), variables.ENVIRONMENT: record.environment}
    used = [f"{name}={value}" for name, value in values.items() if f"${name}" in block.text]
    return [*because, *([f"with {' '.join(used)}"] if used else [])]


def _acted(fleet: Fleet, run: Run, choice: Choice) -> Exit:
    """Show the plan, then run with lock and journal; a dry run needs neither, it only reads."""
    name = run.record.alert
    labels = variables.environment(run.record.labels)
    err.print(
        f"{name} with {' '.join(f'{key}={value}' for key, value in labels.items()) or 'no labels'}",
        markup=False,
    )
    plan = run.undo_plan() if choice.rollback else run.plan()
    agreed(fleet.platform.name, plan, dry_run=False, yes=True)
    if choice.dry_run:
        outcome, said = _rehearsed(run, plan, choice)
    else:
        outcome = _journalled(fleet, run, choice)
        said = outcome.outcome
    if run.record.log.exists():
        err.print(f"all that was printed: {run.record.log}", markup=False, soft_wrap=True)
    if choice.as_json:
        print_json(run.record.model_dump(mode="json"))
    else:
        print(f"{name}: {said}; {run.record.path}")
    return outcome


def _rehearsed(run: Run, plan: list[str], choice: Choice) -> tuple[Exit, str]:
    """Look, without lock and journal since it only reads; return the end and the last sentence."""
    if choice.rollback:
        run.record.end(Exit.DONE)
        return Exit.DONE, f"dry run: nothing was changed; a run would {'; '.join(plan) or 'undo nothing'}"
    outcome = run.forward()
    run.record.end(outcome)
    said = f"dry run: {run.rehearsal.sentence()}"
    return outcome, said if outcome is Exit.DONE else f"{outcome.outcome}; {said}"


def _journalled(fleet: Fleet, run: Run, choice: Choice) -> Exit:
    command = f"perennial runbook run {run.record.alert}"
    with (
        journal.act(
            fleet.platform.name, command, reason=choice.reason or "alert", hosts=[], fleet=fleet
        ) as act,
        lock.held(
            fleet, f"{command} ({run.record.run})", name=f"runbook-{run.record.alert.lower()}"[:41]
        ) as held,
    ):
        run.check, run.changed = held.check, act.change
        try:
            act.outcome = run.back() if choice.rollback else run.forward()
        except PerennialError as error:
            run.record.end(error.code)
            raise
        run.record.end(act.outcome)
    return act.outcome
