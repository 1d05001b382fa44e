# SPDX-License-Identifier: Apache-2.0
"""Looks for secret values where they must not be: on hosts, on this machine, in processes while they run.

A value is never printed: what is found is told as a place and the name of the secret.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from infra.fleet.remote import SshRunner, must

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from infra.inventory import Fleet

Found = set[tuple[str, str]]
CONFIDENTIAL = ("value", "private_key", "key")
SHORTEST = 12
# The same in every Ed25519 key of OpenSSH: it names the format and holds nothing of the key.
SAME_IN_ALL = "b3BlbnNzaC1rZXktdjE"
PROGRAM = Path(__file__).with_name("exposure_program.py").read_text("utf-8")


def needles(values: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what to look for, and the name of its secret: values, and each line of a private key."""
    found = {}
    for name, fields in values.items():
        for kind in CONFIDENTIAL:
            for line in fields.get(kind, "").splitlines():
                if len(line) >= SHORTEST and not line.startswith(("-----", SAME_IN_ALL)):
                    found[line] = name
    return found


def on_hosts(fleet: Fleet, wanted: Mapping[str, str]) -> Found:
    """Return the exposures on all hosts, each asked once; values travel on standard input."""
    runner = SshRunner(fleet, dry_run=False)

    def ask(host: str) -> Found:
        command = ["python3", "-c", PROGRAM]
        answer = must(runner.run(host, command, stdin=json.dumps(wanted), timeout=240), "searching")
        return {(f"{host}: {place}", name) for place, name in json.loads(answer.stdout)}

    with ThreadPoolExecutor(max_workers=4) as workers:
        return {exposure for found in workers.map(ask, fleet.document.hosts) for exposure in found}


def in_files(paths: Iterable[Path], wanted: Mapping[str, str]) -> Found:
    """Return the exposures in files of this machine."""
    return {
        (str(path), name)
        for path in paths
        for name in in_text(path.read_bytes(), wanted)
    }  # fmt: skip


def in_text(text: bytes, wanted: Mapping[str, str]) -> set[str]:
    """Return the names of the secrets in a text."""
    return {name for value, name in wanted.items() if value.encode() in text}


@dataclass
class Watch:
    """Reads the command line and environment of every process of this machine, guests too, while it is open.

    Guests share the machine's process table, so that one reader sees a converge on all hosts. Looking many
    times a second, it sees a command of some tenths of a second for certain and shorter ones often.
    """

    wanted: Mapping[str, str]
    found: Found = field(default_factory=set)
    looks: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Watch:
        """Begin to look."""
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread:
            self._thread.join(10)

    def _watch(self) -> None:
        settled: dict[str, int] = {}
        while not self._stop.wait(0.1):
            present = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
            for process in present:
                # a process may become another program once or twice after its birth, not after some looks
                if settled.get(process.name, 0) < 5:
                    settled[process.name] = settled.get(process.name, 0) + 1
                    self._look(process)
            names = {path.name for path in present}
            settled = {name: count for name, count in settled.items() if name in names}
            self.looks += 1

    def _look(self, process: Path) -> None:
        for kind in ("cmdline", "environ"):
            try:
                text = (process / kind).read_bytes()
                names = in_text(text, self.wanted)
                if names:
                    program = (process / "comm").read_text("utf-8").strip()
                    self.found |= {(f"{kind} of {program}", name) for name in names}
            except OSError:
                return
