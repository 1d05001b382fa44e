# SPDX-License-Identifier: Apache-2.0
"""`perennial doctor`: what is missing or wrong on this machine and in this checkout, and what mends it."""

from __future__ import annotations

from dataclasses import asdict

import typer

from infra.cli.common import AsJson, Env, out, print_json
from infra.toolchain.doctor import checks, exit_code
from infra.toolchain.doctor_facts import read_facts

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(epilog="Examples: perennial doctor · perennial doctor --env test --json")
def doctor(env: Env = "lab", as_json: AsJson = False) -> None:
    """Name what is missing or wrong on this machine and in this checkout, each with its mend."""
    findings = checks(read_facts(env))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    elif not findings:
        out.print(f"nothing wrong for environment {env}")
    for finding in () if as_json else findings:
        out.print(f"[red]✗[/red] [bold]{finding.check}[/bold]: ", end="")
        out.print(finding.problem, markup=False)
        out.print(f"    mend: {finding.mend}", markup=False)
    if findings:
        raise typer.Exit(exit_code(findings))
