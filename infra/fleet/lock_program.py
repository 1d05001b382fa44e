# SPDX-License-Identifier: Apache-2.0
"""Runs on the lock host (Python of Debian, standard library only): one request in on stdin, one answer out.

Its time is the only clock that counts, so machines whose clocks differ still agree on what has expired.
"""

import fcntl
import json
import os
import pathlib
import sys
import time
import typing


def answer(request: dict[str, typing.Any], directory: pathlib.Path, now: float) -> dict[str, typing.Any]:
    """Return whether it was granted, and the holder as it stands (age and expires_in in seconds) or null."""
    path = directory / (request["name"] + ".json")
    held: dict[str, typing.Any] | None = json.loads(path.read_text()) if path.exists() else None
    mine = held is not None and held["token"] == request["token"]
    free = held is None or held["expires"] <= now or held["token"] == request.get("replaces")
    action = request["action"]
    granted = action == "show"
    if action == "acquire" and (free or mine):
        held = {
            "token": request["token"],
            "owner": request["owner"],
            "process": request["process"],
            "reason": request["reason"],
            "since": now,
            "expires": now + request["ttl"],
        }
        write(path, held)
        granted = True
    elif action == "refresh" and held is not None and mine:
        held["expires"] = now + request["ttl"]
        write(path, held)
        granted = True
    elif action == "release" and (mine or held is None):
        path.unlink(missing_ok=True)
        held, granted = None, True
    if held is not None:
        held = dict(held, age=now - held["since"], expires_in=held["expires"] - now)
    return {"granted": granted, "holder": held}


def write(path: pathlib.Path, held: dict[str, typing.Any]) -> None:
    """Replace the lock file as a whole: a crash leaves the old one or the new one."""
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        json.dump(held, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def main(directory: pathlib.Path) -> None:
    """Answer one request while no other process of this host may."""
    request = json.load(sys.stdin)
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (directory / ".mutex").open("w") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        print(json.dumps(answer(request, directory, time.time())))


if __name__ == "__main__":
    main(pathlib.Path("/var/lib/perennial/locks"))
