# SPDX-License-Identifier: Apache-2.0
"""Runs on a host as root: looks for the values given on standard input where they must not be.

Reads {value: name} as JSON, prints [[place, name], ...]; standard library only.
"""

from __future__ import annotations

import gzip
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

CHUNK = 1 << 20
READABLE = ("/etc", "/usr/local", "/var/lib/perennial", "/usr/share/perennial", "/run/perennial", "/tmp")


def search(stream: IO[bytes], wanted: dict[bytes, str], found: set[str]) -> None:
    """Add the names of the values in a stream; a value across the border of two parts is seen too."""
    longest, before = max(map(len, wanted)), b""
    while part := stream.read(CHUNK):
        text = before + part
        found.update(name for value, name in wanted.items() if value in text)
        before = text[-longest:]


def processes(wanted: dict[bytes, str]) -> set[tuple[str, str]]:
    """Look at the command line and the environment of every process."""
    found = set()
    for kind in ("cmdline", "environ"):
        for path in Path("/proc").glob(f"[0-9]*/{kind}"):
            try:
                text = path.read_bytes()
                program = (path.parent / "comm").read_text().strip()
            except OSError:
                continue
            found |= {(f"/proc {kind} of {program}", name) for value, name in wanted.items() if value in text}
    return found


def output(command: list[str], wanted: dict[bytes, str]) -> set[str]:
    """Look at what a program prints."""
    found: set[str] = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        if process.stdout is not None:
            search(process.stdout, wanted, found)
    return found


def logs(wanted: dict[bytes, str]) -> set[tuple[str, str]]:
    """Look at the journal with all its fields, and at every log file, compressed ones too."""
    found = {("journal", name) for name in output(["journalctl", "--output=export"], wanted)}
    for path in Path("/var/log").rglob("*"):
        if path.is_symlink() or not path.is_file() or path.suffix == ".journal":
            continue
        try:
            found |= {(str(path), name) for name in log_file(path, wanted)}
        except FileNotFoundError:  # rotated away just now; it was or will be met under its other name
            continue
    return found


def log_file(path: Path, wanted: dict[bytes, str]) -> set[str]:
    """Look at one log file, compressed or not."""
    if path.suffix == ".zst":
        return output(["zstdcat", str(path)], wanted)
    names: set[str] = set()
    with path.open("rb") as raw:
        search(cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw, wanted, names)
    return names


def files(wanted: dict[bytes, str]) -> set[tuple[str, str]]:
    """Look at the files that anybody on the host may read."""
    found = set()
    for path in (path for root in READABLE for path in Path(root).rglob("*")):
        try:
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IROTH:
                text = path.read_bytes()
                found |= {(str(path), name) for value, name in wanted.items() if value in text}
        except FileNotFoundError:
            continue
    return found


def main() -> None:
    """Look everywhere and print what was found."""
    wanted = {value.encode(): name for value, name in json.load(sys.stdin).items()}
    json.dump(sorted(processes(wanted) | logs(wanted) | files(wanted)), sys.stdout)


if __name__ == "__main__":
    main()
