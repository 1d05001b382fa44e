# SPDX-License-Identifier: Apache-2.0
"""`python -m infra.make TARGET --env ENV`: what the Makefile calls."""

from __future__ import annotations

import signal

if __name__ == "__main__":
    # Until something is at work an interrupt ends this in silence: imports would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import os
import subprocess
import sys
from typing import Annotated

import typer

from infra.cli.errors import outcome
from infra.make import acts
from infra.spec import CHECKOUT

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
Env = Annotated[str, typer.Option("--env", help="environment: a file in inventories/")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]
Area = Annotated[str, typer.Option("--area", help="one area only")]
PROGRAM = "python -m infra.make"
INTERRUPTED = "interrupted; run the same command again, it continues"


@app.command()
def up(env: Env = "lab", yes: Yes = False) -> None:
    """From nothing to a running platform."""
    raise typer.Exit(acts.up(env, yes=yes))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def converge(context: typer.Context, env: Env = "lab") -> None:
    """Configure the hosts; further arguments go to ansible-playbook."""
    raise typer.Exit(acts.converge(env, tuple(context.args)))


@app.command()
def down(env: Env = "lab", yes: Yes = False) -> None:
    """Take a disposable environment away."""
    raise typer.Exit(acts.down(env, yes=yes))


def _pytest(env: str, *arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(
        command, cwd=CHECKOUT, env={**os.environ, "PERENNIAL_TEST_ENV": env}, check=False
    ).returncode


@app.command()
def verify(env: Env = "lab", area: Area = "") -> None:
    """Meet the running platform as visitor, author and administrator, in a browser too."""
    raise typer.Exit(_pytest(env, "-v", "--no-header", "-k", area, "tests/browser"))


@app.command()
def bench(env: Env = "lab", area: Area = "foundation") -> None:
    """Measure on the running lab, side by side, and print ratios."""
    command = [sys.executable, "-m", "loadtests.bench", area, "--env", env]
    raise typer.Exit(subprocess.run(command, cwd=CHECKOUT, check=False).returncode)


@app.command()
def drill(env: Env = "lab", area: Area = "foundation") -> None:
    """Run the faults and recoveries of an area, resumable."""
    if area == "alerts":
        command = [sys.executable, "-m", "infra.cli.main", "drill", "run", "--env", env, "--yes", "--record"]
        command += ["--resume", "--together", "4"]
        raise typer.Exit(subprocess.run(command, cwd=CHECKOUT, check=False).returncode)
    raise typer.Exit(_pytest(env, "-v", "--no-header", "-m", "drill", "-k", area, "tests/lab"))


def main() -> int:
    """Run one target and return its exit code; a failure is one clear line."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = typer.main.get_command(app)
    return outcome(lambda: command.main(prog_name=PROGRAM, standalone_mode=False), "make", INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
