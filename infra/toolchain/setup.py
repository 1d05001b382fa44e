# SPDX-License-Identifier: Apache-2.0
"""Second half of `make setup`: virtual environment, Pulumi CLI, private state.

Every step looks at the real thing first and does nothing when it is right, so that every other target can
call set-up, and it continues after an interrupt. Standard library only.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from infra.toolchain import private_state, pulumi_cli, tools_image, venv
from infra.toolchain.errors import ToolchainError
from infra.toolchain.paths import Paths


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"setup: {text}", flush=True)


@contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    """Let a second set-up of the same checkout wait for the first."""
    paths.tools.mkdir(exist_ok=True)
    with (paths.tools / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is running in this checkout; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(purposes: list[str]) -> int:
    """Bring the checkout's tools for `purposes` in order; return an exit code of the project's table."""
    paths = Paths()
    try:
        with _alone(paths):
            venv.ensure(paths, say)
            pulumi_cli.ensure(paths, say)
            private_state.ensure(paths, say)
            if "check" in purposes:
                tools_image.ensure(paths.tools / "debian13", say)
    except tools_image.ToolsImageError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except ToolchainError as error:
        print(f"setup: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("setup: interrupted; run it again, it goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]).split()))
