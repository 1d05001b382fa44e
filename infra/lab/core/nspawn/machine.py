# SPDX-License-Identifier: Apache-2.0
"""The one kernel setting of the machine that many guests need, and its way back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from infra.lab.core.nspawn.files import locked, write_atomic
from infra.lab.core.nspawn.paths import Paths
from infra.lab.core.process import Budget

# The kernel counts inotify instances for each user, over all guests; each init and its services take about
# ten, and the default of 128 ends at a dozen guests with "Too many open files".
INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
WANTED = 8192


class Machine:
    """Raises the limit for the first lab, puts the former value back after the last."""

    def __init__(self, paths: Paths, setting: Path = INOTIFY_INSTANCES) -> None:
        self._paths = paths
        self._setting = setting

    @property
    def _former(self) -> Path:
        return self._paths.root / "inotify-instances.former"

    def ready(self) -> bool:
        """Whether the limit is high enough."""
        return int(self._setting.read_text(encoding="ascii")) >= WANTED

    def prepare(self, budget: Budget) -> None:
        """Raise the limit and remember what it was."""
        with locked(self._paths.runtime / "machine.lock", budget):
            if self.ready():
                return
            if not self._former.exists():
                write_atomic(self._former, self._setting.read_text(encoding="ascii"))
            self._setting.write_text(str(WANTED), encoding="ascii")

    def restore(self, budget: Budget) -> None:
        """Put the former limit back when no lab is left."""
        with locked(self._paths.runtime / "machine.lock", budget):
            if self._paths.labs.is_dir() and any(self._paths.labs.iterdir()):
                return
            with suppress(FileNotFoundError):
                self._setting.write_text(self._former.read_text(encoding="ascii"), encoding="ascii")
                self._former.unlink()
