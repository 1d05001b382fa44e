# SPDX-License-Identifier: Apache-2.0
"""Who acts: person, machine and process, as audit lines and locks name them."""

from __future__ import annotations

import getpass
import os
import platform
from dataclasses import asdict, dataclass

import psutil


@dataclass(frozen=True)
class Identity:
    """One process of one person on one machine; `started` tells it from a later one with the same number."""

    person: str
    machine: str
    pid: int
    started: float

    def __str__(self) -> str:
        """Return `person@machine[pid]`."""
        return f"{self.person}@{self.machine}[{self.pid}]"

    def as_data(self) -> dict[str, str | int | float]:
        """Return the parts as plain data."""
        return asdict(self)

    def is_dead(self) -> bool:
        """Tell whether this process is known to be over; one of another machine is never known to be."""
        if self.machine != platform.node():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) > 2
        except psutil.NoSuchProcess:
            return True


def current() -> Identity:
    """Return the identity of this process; behind sudo the person is the one who called it."""
    person = os.environ.get("SUDO_USER") or getpass.getuser()
    process = psutil.Process()
    return Identity(person, platform.node(), process.pid, process.create_time())
