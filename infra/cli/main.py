# SPDX-License-Identifier: Apache-2.0
"""Entry of `perennial`: lazy groups, the one table of exit codes, and never a traceback for a known error."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from infra.cli import groups
from infra.cli.errors import outcome
from infra.fleet.exits import Exit, PerennialError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Groups(TyperGroup):
    """Knows every group by name and summary, and imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(groups.GROUPS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the group; while only help is shown, a stand-in with its summary."""
        if cmd_name not in groups.GROUPS:
            return None
        if cmd_name not in _called(ctx):
            return TyperCommand(cmd_name, help=groups.GROUPS[cmd_name].summary)
        command = typer.main.get_command(groups.load(cmd_name))
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Name the nearest group for a wrong word."""
        if args and args[0] not in groups.GROUPS:
            near = (*get_close_matches(args[0], groups.GROUPS, n=1), "")[0]
            raise PerennialError(
                f"no command {args[0]!r}", nearest=near, next_="perennial --help", code=Exit.USAGE
            )
        ctx.meta["perennial.called"] = args[0]
        return super().resolve_command(ctx, args)


def _called(ctx: Any) -> set[str]:
    return {ctx.meta.get("perennial.called", "")}


app = typer.Typer(
    cls=Groups,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # importing rich costs more than all the rest of `perennial --help`
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples: perennial status · perennial fleet status · perennial fleet run app -- uptime\n\n"
    "Exit codes: 0 done · 1 failed · 3 partial · 4 refused · 8 locked · 64 usage · 130 interrupted",
)


@app.callback()
def root() -> None:
    """Operate a live Perennial platform; `make` builds and tests this repository."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a known error is one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(app)
    return outcome(
        lambda: command.main(args=words, prog_name="perennial", standalone_mode=False), "perennial"
    )


if __name__ == "__main__":
    sys.exit(main())
