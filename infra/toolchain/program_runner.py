# SPDX-License-Identifier: Apache-2.0
"""Runs one Pulumi program for the language host, which hands over everything by standard input."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

import grpc
import pulumi
from pulumi import runtime

ALREADY_SHOWN = 32  # the same number as in language_host: failed, and the user has been told why


def entry_point(program: Path) -> Path:
    """Return the file to run for ``program``, which may be a folder with ``__main__.py``.

    Raises:
        FileNotFoundError: When there is no such file; the message names it.
    """
    path = program / "__main__.py" if program.is_dir() else program
    if not path.is_file():
        raise FileNotFoundError(f"no Pulumi program at {path}")
    return path


def prepare(message: dict[str, Any]) -> Path:
    """Configure the SDK and the interpreter's search path; return the file to run."""
    runtime.set_all_config(message["config"], message["secret_keys"])
    runtime.configure(runtime.Settings(**message["settings"]))
    path = entry_point(Path(message["program"]))
    sys.argv = [str(path), *message["arguments"]]
    sys.path[0] = str(path.parent)
    return path


def run(message: dict[str, Any]) -> int:
    """Run the program that ``message`` describes; return the exit code for the language host."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        path = prepare(message)
        loop.run_until_complete(runtime.run_in_stack(lambda: _execute(path)))
    except (pulumi.RunError, FileNotFoundError) as error:
        pulumi.log.error(str(error))
        return ALREADY_SHOWN
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:  # else the engine is going down and has told why
            pulumi.log.error(f"the engine refused a call: {error.details()}")
        return ALREADY_SHOWN
    except KeyboardInterrupt:  # the engine ends the program after an error elsewhere, which it has shown
        return ALREADY_SHOWN
    except Exception:  # the program is the user's: whatever it raises goes to the engine's output
        pulumi.log.error("the program failed:\n" + program_traceback(sys.exc_info()[1]))
        return ALREADY_SHOWN
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
    return 0


def program_traceback(error: BaseException | None) -> str:
    """Format an exception without the frames of this runner and of the SDK that called the program."""
    if error is None:
        return ""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_name != "<module>":
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames or error.__traceback__))


def _execute(path: Path) -> None:
    runpy.run_path(str(path), run_name="__main__")


if __name__ == "__main__":
    outcome = run(json.load(sys.stdin))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(outcome)  # gRPC threads of an aborted deployment would otherwise hold the process
