#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bring this edge's daemons in line with their files, and never interrupt a request for it.

Compares the files that a daemon took in (fingerprints under /run) with the files as they are now, so that an
interrupted converge loses nothing: the next one sees the same difference. Daemons on the request path are
reloaded gracefully; a change that needs a restart leaves a mark for the rolling engine. Prints a line an act.

edge_settle [--check]           look and act (--check: only print)
edge_settle --started UNIT      called by the unit itself when it starts: note its files, take the mark away
edge_settle --reloaded UNIT     called by the unit itself when it reloads: note the files that this brings in
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

UNITS = Path("/etc/perennial/edge-units.json")
RUN = Path("/run/perennial")


@dataclass(frozen=True)
class Unit:
    """One daemon: files it reads at start, files a reload brings in, and whether it may be restarted here."""

    unit: str
    start: list[str]
    reload: list[str]
    restart: bool

    def noted(self, kind: str) -> Path:
        """Return where the fingerprint of `kind` is noted; gone after a reboot, as is the daemon."""
        return RUN / "edge-settle" / f"{self.unit}.{kind}"

    @property
    def mark(self) -> Path:
        """Return the mark that the rolling engine looks for."""
        return RUN / "restart-needed.d" / self.unit

    def note(self, kind: str) -> None:
        """Note the present fingerprint of `kind`."""
        path = self.noted(kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(fingerprint(getattr(self, kind)))

    def started_since(self, state: dict[str, str]) -> bool:
        """Return whether the daemon was started after its note: by hand, with files that nobody noted."""
        note, begun = self.noted("start"), state["ExecMainStartTimestamp"].removeprefix("@")
        return note.exists() and begun.isdigit() and int(begun) > note.stat().st_mtime

    def differs(self, kind: str) -> bool:
        """Return whether the files changed since the daemon took them in."""
        path = self.noted(kind)
        return not path.exists() or path.read_text() != fingerprint(getattr(self, kind))


def fingerprint(patterns: list[str]) -> str:
    """Return one hash over names and contents of the files that match `patterns` (absolute, with *)."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            digest.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def units() -> list[Unit]:
    """Return the daemons of this edge in the order of their start."""
    return [Unit(**entry) for entry in json.loads(UNITS.read_text())]


def systemctl(*arguments: str) -> str:
    """Run systemctl and return its output; raise CalledProcessError with what it said."""
    command = ["/usr/bin/systemctl", *arguments]
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def properties(unit: str) -> dict[str, str]:
    """Return the properties of a unit that matter here."""
    wanted = "ActiveState,UnitFileState,NeedDaemonReload,ExecMainStartTimestamp"
    lines = systemctl("show", "--timestamp=unix", "-p", wanted, unit).splitlines()
    return {"ExecMainStartTimestamp": ""} | dict(line.split("=", 1) for line in lines)


class Settler:
    """One run over all units; `check` prints without acting."""

    def __init__(self, *, check: bool) -> None:
        self.check = check

    def act(self, what: str, *arguments: str) -> None:
        """Print what is done and do it through systemctl."""
        print(what, flush=True)
        if not self.check and arguments:
            systemctl(*arguments)

    def settle(self, unit: Unit) -> None:
        """Bring one daemon in line."""
        state = properties(unit.unit)
        if state["UnitFileState"] == "masked":
            self.act(f"unmask {unit.unit}", "unmask", "--quiet", unit.unit)
        if state["UnitFileState"] not in {"enabled", "static"}:
            self.act(f"enable {unit.unit}", "enable", "--quiet", unit.unit)
        if state["ActiveState"] not in {"active", "reloading", "activating"}:
            self.fresh(unit, "start")
        elif unit.restart and unit.started_since(state):
            self.fresh(unit, "restart")
        elif not unit.differs("start"):
            self.reload(unit)
        elif unit.restart or not unit.noted("start").exists():
            # Not on the request path, or still as its package started it: no client depends on it.
            self.fresh(unit, "restart")
        else:
            self.reload(unit)
            self.leave_mark(unit)

    def fresh(self, unit: Unit, verb: str) -> None:
        """Start or restart a daemon and note what it read."""
        self.act(f"{verb} {unit.unit}", verb, unit.unit)
        if not self.check:
            unit.note("start")
            unit.note("reload")

    def reload(self, unit: Unit) -> None:
        """Reload a daemon gracefully when files of that kind changed."""
        if unit.reload and unit.differs("reload"):
            self.act(f"reload {unit.unit}", "reload", unit.unit)
            if not self.check:
                unit.note("reload")

    def leave_mark(self, unit: Unit) -> None:
        """Leave the mark for the rolling engine, once."""
        if not unit.mark.exists():
            self.act(f"restart needed: {unit.unit}")
            if not self.check:
                unit.mark.parent.mkdir(parents=True, exist_ok=True)
                unit.mark.touch()


def noted(name: str, *kinds: str) -> None:
    """Note that a unit takes in its files of `kinds`; a start also takes its mark away."""
    for unit in units():
        if unit.unit == name:
            for kind in kinds:
                unit.note(kind)
            if "start" in kinds:
                unit.mark.unlink(missing_ok=True)


def main() -> int:
    """Run; return 0, or 1 with what systemctl said."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--started", metavar="UNIT")
    parser.add_argument("--reloaded", metavar="UNIT")
    parsed = parser.parse_args()
    if parsed.started or parsed.reloaded:
        noted(parsed.started or parsed.reloaded, *(("start", "reload") if parsed.started else ("reload",)))
        return 0
    settler = Settler(check=parsed.check)
    try:
        wanted = units()
        if any(properties(unit.unit)["NeedDaemonReload"] == "yes" for unit in wanted):
            settler.act("read units again", "daemon-reload")
        for unit in wanted:
            settler.settle(unit)
    except subprocess.CalledProcessError as error:
        print(f"edge_settle: {' '.join(error.cmd)}: {error.stderr.strip()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
