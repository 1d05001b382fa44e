# SPDX-License-Identifier: Apache-2.0
"""Measure a running platform beside its references; exit 0 when every figure reaches its goal, else 11.

Examples: python -m loadtests.bench foundation · … --row cached-page --row rest · … --trial (nothing recorded)
"""

from __future__ import annotations

import difflib
import json
import signal
import subprocess
import sys
from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import httpx
import typer
from rich.console import Console
from typer.exceptions import TyperException

from infra.fleet.exits import Exit, Interrupted, PerennialError
from infra.inventory import FleetError, read_fleet
from infra.lab.core.errors import LabError
from infra.spec import CHECKOUT, SpecError, load
from infra.toolchain.errors import ToolchainError
from loadtests.bench import evidence, table
from loadtests.bench.catalog import AREAS, EVERY_ROW, goals_of
from loadtests.bench.figures import BenchError, Line, Measurement, judge, unmeasured
from loadtests.bench.run import TRIAL, Counts, Run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

FAILURES = (
    BenchError, PerennialError, FleetError, LabError, ToolchainError, httpx.HTTPError,
    subprocess.SubprocessError, OSError, ValueError,
)  # fmt: skip
app = typer.Typer(add_completion=False)
console = Console(stderr=True, highlight=False)


class Area(StrEnum):
    """What can be measured."""

    FOUNDATION = "foundation"
    DATABASE = "database"


def measure(run: Run, rows: Sequence[str]) -> list[Measurement]:
    """Measure the rows one after another; one that fails says why and does not keep the others from it."""
    found: list[Measurement] = []
    for row in rows:
        try:
            found += EVERY_ROW[row](run)
        except FAILURES as error:
            why = " ".join(str(error).split()) or type(error).__name__
            found += [unmeasured(goal.figure, why) for goal in goals_of([row])]
            console.print(f"  {row}: {why}", style="red", markup=False)
    return found


def chosen(rows: Sequence[str], area: str = Area.FOUNDATION) -> list[str]:
    """Return the rows asked for in the order of a run, all where none is named; refuse (64) unknown ones."""
    known = AREAS[area]
    for row in rows:
        if row not in known:
            near = difflib.get_close_matches(row, known, 1)
            raise PerennialError(
                f"no row {row!r}; rows: {', '.join(known)}", nearest=near[0] if near else "", code=Exit.USAGE
            )
    return [row for row in known if not rows or row in rows]


def bench(environment: str, rows: Sequence[str], counts: Counts) -> list[Line]:
    """Measure `rows` on `environment` and judge them; whatever the run made is gone afterwards."""
    if not load(environment).environment.disposable:
        message = f"{environment} is not disposable: it is not loaded to its limits, and no host is added"
        raise PerennialError(message, code=Exit.REFUSED, next_="make bench ENV=lab")
    with ExitStack() as stack:
        fleet = read_fleet(environment)
        run = Run(fleet, counts, stack, lambda text: console.print(f"  [dim]{text}[/dim]"))
        found = measure(run, rows)
    return judge(goals_of(rows), found)


@app.command(help=__doc__)
def main(
    area: Annotated[Area, typer.Argument()] = Area.FOUNDATION,
    env: Annotated[str, typer.Option(help="environment: a file in inventories/, up and converged")] = "lab",
    row: Annotated[list[str] | None, typer.Option(help="one row only; may be given again")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the record on standard output")] = False,
    trial: Annotated[bool, typer.Option(help="tiny counts to see it work; nothing is recorded")] = False,
) -> None:
    """Measure, show, record, judge."""
    rows, counts = chosen(row or [], area), TRIAL if trial else Counts()
    about = evidence.circumstances(counts)
    lines = bench(env, rows, counts)
    record = evidence.document(area.value, lines, about)
    if as_json:
        print(json.dumps(record, indent=1, ensure_ascii=False))
    else:
        _show(lines)
    console.print(table.verdict(lines))
    if trial:
        console.print("a trial: its figures mean nothing and were not recorded")
    else:
        path = evidence.write(area.value, record, [goal.figure for goal in goals_of(AREAS[area])])
        console.print(f"recorded in {path.relative_to(CHECKOUT)}")
    raise typer.Exit(Exit.DONE if all(line.holds for line in lines) else Exit.REGRESSION)


def _show(lines: Sequence[Line]) -> None:
    out = Console(highlight=False)
    out.print(table.table(lines))
    for remark in table.remarks(lines):
        out.print(f"  {remark}", markup=False)


def _interrupted(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(f"signal {number}")


def command() -> int:
    """Run the command; every expected failure is one clear line and its exit code."""
    try:
        code = app(standalone_mode=False)  # gives the code of a typer.Exit back instead of raising it
    except TyperException as error:
        return _failed(f"{error.format_message()}; next: python -m loadtests.bench --help", Exit.USAGE)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except (SpecError, FleetError) as error:
        return _failed(str(error), Exit.USAGE)
    except PerennialError as error:
        return _failed(str(error), error.code)
    except LabError as error:
        return _failed(str(error), Exit.FAILED)
    if code == Exit.INTERRUPTED:
        return _failed("interrupted; what the bench had made is removed", Exit.INTERRUPTED)
    return int(code) if isinstance(code, int) else Exit.DONE


def _failed(message: str, code: Exit) -> int:
    console.print(message, style="red", markup=False)
    return int(code)


if __name__ == "__main__":
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupted)
    sys.exit(command())
