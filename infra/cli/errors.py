# SPDX-License-Identifier: Apache-2.0
"""How a command of ours ends: the one table of exit codes, one clear line, never a traceback.

Errors are known by the names of their classes: importing them all would cost more than `--help` may take.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from infra.fleet.exits import Exit, PerennialError

if TYPE_CHECKING:
    from collections.abc import Callable

UNEXPECTED = "this is a fault of Perennial; PERENNIAL_DEBUG=1 shows where"
FORESEEN = {"SpecError": Exit.USAGE, "FleetError": Exit.USAGE, "StepFailedError": Exit.FAILED}
INTERRUPTIONS = {"KeyboardInterrupt", "Interrupted", "Abort"}


def outcome(command: Callable[[], object], program: str, interrupted: str = "interrupted") -> int:
    """Run `command` and return its exit code; a failure is one line on standard error after `program`.

    `interrupted` is said where a person, or a signal, ended it.
    """
    try:
        answer = command()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - people get words, not a traceback
        return explain(error, program, interrupted)
    if answer == Exit.INTERRUPTED:
        return _say(program, interrupted, Exit.INTERRUPTED)
    return int(answer) if isinstance(answer, int) else Exit.DONE


def explain(error: BaseException, program: str, interrupted: str = "interrupted") -> int:
    """Say on standard error what `error` means and return its exit code.

    What nobody foresaw is raised again where PERENNIAL_DEBUG is set.
    """
    name = type(error).__name__
    if name in INTERRUPTIONS:
        return _say(program, interrupted, Exit.INTERRUPTED)
    if name == "Exit":
        return int(getattr(error, "exit_code", Exit.FAILED))
    if name == "NoArgsIsHelpError":
        print(str(error).rstrip())
        return Exit.USAGE
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else program
        return _say(program, f"{error.format_message()}; next: {command} --help", Exit.USAGE)
    code = code_of(error)
    if code is not None:
        return _say(program, str(error), code)
    if os.environ.get("PERENNIAL_DEBUG"):
        raise error
    return _say(program, f"{name}: {error}; {UNEXPECTED}", Exit.FAILED)


def code_of(error: BaseException) -> int | None:
    """Return the exit code of a foreseen error, None of any other."""
    if isinstance(error, PerennialError):
        return error.code
    given = FORESEEN.get(type(error).__name__, getattr(error, "exit_code", None))
    return given if isinstance(given, int) else None


def _say(program: str, text: str, code: int) -> int:
    print(f"{program}: {text}", file=sys.stderr)
    return int(code)
