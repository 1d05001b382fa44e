# SPDX-License-Identifier: Apache-2.0
"""What commands share: options, output for people and for programs, and the order plan → question → act."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from infra.fleet.exits import Exit, PerennialError
from infra.inventory.fleet import Fleet, read_fleet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Env = Annotated[str, typer.Option("--env", envvar="PERENNIAL_ENV", help="Environment: inventories/ENV.yml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the journal.")]


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the screen; in a pipe wide enough not to break lines."""
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)


PIPE_WIDTH = 400
out = console()
err = console(stderr=True)


def new_app(summary: str, *examples: str) -> typer.Typer:
    """Return an empty group of commands with examples below its help."""
    return typer.Typer(
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Examples: " + " · ".join(examples),
    )


def fleet_of(environment: str) -> Fleet:
    """Return the fleet of `environment`; raises FleetError with the next command where there is none."""
    return read_fleet(environment)


def print_json(data: Any) -> None:
    """Print `data` as JSON, one document."""
    print(json.dumps(data, ensure_ascii=False, indent=1, default=str))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table for people; it wraps at the screen's width and not in a pipe."""
    shown = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    console().print(shown)


def agreed(environment: str, plan: Sequence[str], *, dry_run: bool, yes: bool) -> bool:
    """Print what will be done in `environment` and return whether to do it.

    False after `--dry-run`. Raises PerennialError (4) when somebody says no, and when nobody can be asked.
    """
    err.print(f"In environment [bold]{environment}[/bold]:")
    for line in plan:
        err.print(f"  - {line}", markup=False)
    if dry_run:
        err.print("dry run: nothing was changed")
        return False
    if yes:
        return True
    if not sys.stdin.isatty():
        raise PerennialError("nobody to ask here", where=environment, next_="add --yes", code=Exit.REFUSED)
    answer = err.input(f"Do this in {environment}? [y/N] ").strip().lower()
    if answer not in {"y", "yes"}:
        raise PerennialError("not agreed, nothing was changed", where=environment, code=Exit.REFUSED)
    return True
