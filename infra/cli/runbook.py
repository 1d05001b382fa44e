# SPDX-License-Identifier: Apache-2.0
"""`perennial runbook`: the pages of alerts, for people and run by this program."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markdown import Markdown

from infra.cli import runbook_run
from infra.cli.common import AsJson, Env, Yes, err, fleet_of, new_app, out, print_json, table
from infra.fleet.exits import Exit, PerennialError
from infra.runbook import labels as variables
from infra.runbook import lint, page, rules
from infra.runbook.readable import readable
from infra.spec import CHECKOUT, nearest

app = new_app(
    "Read, check and run the runbook pages of alerts.",
    "perennial runbook list",
    "perennial runbook show TaskLate --label instance=app-1 --label task=wp-cron",
    "perennial runbook run TaskLate --dry-run",
    "perennial runbook check",
)
MOST_COLUMNS = 110
Label = Annotated[
    list[str] | None,
    typer.Option("--label", help="A label of the alert, as task=wp-cron; may be repeated."),
]
AlertName = Annotated[str, typer.Argument(help="Name of an alert, from `runbook list`.")]
Fingerprint = Annotated[
    str, typer.Option("--fingerprint", help="Of the alert in Alertmanager, or its first digits.")
]
WithoutAlert = Annotated[
    bool, typer.Option("--without-alert", help="Use --label alone; Alertmanager is not asked.")
]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List alerts with severity, what they say, and the commands on their pages."""
    rows = []
    for name, alert in rules.alerts().items():
        path = lint.PAGES / f"{name}.md"
        blocks = page.read(path).blocks if path.exists() else ()
        names = [block.attributes.name for block in blocks]
        rows.append({"alert": name, "severity": alert.severity, "summary": alert.summary, "blocks": names})
    if as_json:
        print_json(rows)
        return
    shown = [(str(row["alert"]), str(row["severity"]), ", ".join(row["blocks"])) for row in rows]
    table("runbook pages", ("alert", "severity", "commands on its page"), shown)


@app.command(epilog="Examples: perennial runbook show NginxDown · runbook show TaskLate --label task=wp-cron")
def show(
    alert: AlertName,
    label: Label = None,
    *,
    fingerprint: Fingerprint = "",
    env: Env = "lab",
    without_alert: WithoutAlert = False,
) -> None:
    """Print a page, with the labels of the firing alert, or those given, in its commands."""
    choice = runbook_run.Choice(
        variables.parse(label or []), fingerprint=fingerprint, without_alert=without_alert
    )
    found = page_of(alert)
    known, platform = runbook_run.known(env, alert, choice)
    text = readable(found, known, platform)
    if out.is_terminal:
        out.print(Markdown(text), width=min(out.width, MOST_COLUMNS))
    else:
        print(text, end="")


def page_of(alert: str) -> page.Page:
    """Return the page of an alert; raise PerennialError (64) naming the nearest alert where there is none."""
    path = lint.PAGES / f"{alert}.md"
    if not path.exists():
        near = nearest(alert, rules.alerts())
        raise PerennialError(
            f"no page for {alert!r}", nearest=near, next_="perennial runbook list", code=Exit.USAGE
        )
    return page.read(path)


@app.command(
    epilog="Examples: perennial runbook run TaskLate --dry-run · perennial runbook run TaskLate --resume"
)
def run(
    alert: AlertName,
    label: Label = None,
    *,
    fingerprint: Fingerprint = "",
    env: Env = "lab",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look, and print what would be changed.")
    ] = False,
    yes: Yes = False,
    confirm: Annotated[str, typer.Option("--confirm", help="'ENV HOST', for what cannot be undone.")] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last run that did not end.")
    ] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Undo the changes of the last run.")] = False,
    without_alert: WithoutAlert = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the journal.")] = "alert",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all that commands print.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the page of a firing alert: look, ask before each change, verify; undo where that fails."""
    choice = runbook_run.Choice(
        variables.parse(label or []), fingerprint, dry_run, yes, confirm, resume, rollback, without_alert,
        as_json, reason, verbose,
    )  # fmt: skip
    outcome = runbook_run.execute(fleet_of(env), sound(page_of(alert)), choice)
    if outcome is not Exit.DONE:
        raise typer.Exit(outcome)


def sound(found: page.Page) -> page.Page:
    """Return a page that has no findings; raise PerennialError (64) with the first: it is not run."""
    findings = [finding for finding in lint.check() if finding.where == found.path]
    if findings:
        raise PerennialError(str(findings[0]), next_="perennial runbook check", code=Exit.USAGE)
    return found


@app.command()
def check(as_json: AsJson = False) -> None:
    """Check every page: sections, commands, names, links, and whether its rule has changed since; exit 1."""
    findings = lint.check()
    if as_json:
        print_json(
            [{"file": str(f.where.relative_to(CHECKOUT)), "line": f.line, "what": f.what} for f in findings]
        )
    else:
        for finding in findings:
            err.print(f"{finding.where.relative_to(CHECKOUT)}:{finding.line}: {finding.what}", markup=False)
    if findings:
        raise PerennialError(
            f"{len(findings)} findings", next_="mend the pages, then perennial runbook check"
        )
    if not as_json:
        out.print(f"{len(rules.alerts())} pages, each with its alert")
