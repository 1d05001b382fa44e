# SPDX-License-Identifier: Apache-2.0
"""`perennial spec`: the description in inventories/, shown, checked and compared. Reaches no host."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from infra.cli.common import AsJson, Env, err, new_app, out, print_json
from infra.cli.spec_difference import differences, platform_at
from infra.fleet.exits import Exit, PerennialError
from infra.spec import INVENTORIES, Platform, SpecError, environments, load, nearest

app = new_app(
    "Show, check and compare the description in inventories/.",
    "perennial spec check",
    "perennial spec show hosts.app-1",
    "perennial spec diff --against HEAD~1",
)


def plain(value: Any) -> Any:
    """Return any part of the platform as plain data."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if hasattr(value, "items"):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def at_path(data: Any, path: str) -> Any:
    """Return what the dotted `path` names; raise PerennialError (64) with the nearest key."""
    for part in filter(None, path.split(".")):
        keys = list(data) if isinstance(data, dict) else [str(index) for index in range(len(data or ()))]
        if isinstance(data, str) or part not in keys:
            near = nearest(part, keys)
            raise PerennialError(
                f"no {part!r} in {path!r}", nearest=near, next_="perennial spec show", code=Exit.USAGE
            )
        data = data[part] if isinstance(data, dict) else data[int(part)]
    return data


@app.command()
def show(
    path: Annotated[str, typer.Argument(help="Dotted path, such as hosts.app-1 or services.app.pool.")] = "",
    env: Env = "lab",
    as_json: AsJson = False,
) -> None:
    """Print the validated description, or one part of it."""
    data = at_path(plain(load(env)), path)
    if as_json or not isinstance(data, dict):
        print_json(data)
        return
    for key, value in data.items():
        if not path and isinstance(value, dict | list):
            names = (
                ", ".join(str(name) for name in value) if isinstance(value, dict) else f"{len(value)} entries"
            )
            out.print(f"[bold]{key}[/bold]: {names}")
        else:
            out.print(f"[bold]{key}[/bold]: {value}")


@app.command()
def check(
    env: Annotated[str, typer.Option("--env", help="One environment, or all.")] = "all",
    directory: Annotated[
        Path, typer.Option("--inventories", help="Another folder of descriptions.")
    ] = INVENTORIES,
    as_json: AsJson = False,
) -> None:
    """Validate one environment or all; exit 64 with every problem named."""
    names = environments(directory) if env == "all" else (env,)
    if not names:
        raise PerennialError("no environment to check", where=str(directory), code=Exit.USAGE)
    problems: set[str] = set()
    good: list[str] = []
    for name in names:
        try:
            good.append(_summary(load(name, directory)))
        except SpecError as error:
            problems |= {str(problem) for problem in error.problems}
    if as_json:
        print_json({"environments": list(names), "problems": sorted(problems)})
    else:
        for line in good:
            out.print(line)
        for problem in sorted(problems):
            print(problem)
    if problems:
        err.print(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''}; next: mend the lines named above"
        )
        raise typer.Exit(Exit.USAGE)


def _summary(platform: Platform) -> str:
    counts = f"{len(platform.hosts)} hosts, {len(platform.sites)} sites, {len(platform.services)} services"
    return f"{platform.name}: valid ({counts}, {len(platform.tasks)} tasks, {len(platform.plan)} clauses)"


@app.command()
def diff(
    against: Annotated[str, typer.Option("--against", help="Git revision to compare with.")] = "HEAD",
    env: Env = "lab",
    as_json: AsJson = False,
) -> None:
    """Say what the changes since a revision mean: hosts, ports, tasks, sizes."""
    found = differences(plain(platform_at(against, env)), plain(load(env)))
    if as_json:
        print_json(found)
        return
    for line in found or [f"{env}: no difference to {against}"]:
        print(line)
