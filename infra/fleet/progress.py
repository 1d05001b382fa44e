# SPDX-License-Identifier: Apache-2.0
"""Which hosts a rolling procedure has finished, kept so that a stopped run goes on where it stood."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Progress:
    """One small file for each unfinished procedure."""

    directory: Path

    def _path(self, procedure: str) -> Path:
        return self.directory / f"{procedure}.json"

    def done(self, procedure: str) -> set[str]:
        """Return the hosts that earlier runs finished."""
        path = self._path(procedure)
        return set(json.loads(path.read_text("utf-8"))) if path.exists() else set()

    def add(self, procedure: str, host: str) -> None:
        """Record a finished host; the file is replaced as a whole."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path(procedure).with_suffix(".new")
        temporary.write_text(json.dumps(sorted(self.done(procedure) | {host})), "utf-8")
        temporary.replace(self._path(procedure))

    def clear(self, procedure: str) -> None:
        """Forget a procedure that has reached every host."""
        self._path(procedure).unlink(missing_ok=True)
