# SPDX-License-Identifier: Apache-2.0
"""Where the lab keeps its files on the machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The lab's directories.

    Args:
        root: everything that goes away with the last lab.
        packages: the package cache, kept.
        runtime: locks.
    """

    root: Path = Path("/var/lib/perennial")
    packages: Path = Path("/var/cache/perennial/packages")
    runtime: Path = Path("/run/perennial-lab")

    @property
    def images(self) -> Path:
        """All images of the machine."""
        return self.root / "images"

    @property
    def labs(self) -> Path:
        """One directory for each lab."""
        return self.root / "labs"

    @property
    def cache(self) -> Path:
        """Configuration, log and users of the package cache's process."""
        return self.root / "cache"

    def lab(self, lab: str) -> Path:
        """All that one lab owns."""
        return self.labs / lab

    def host(self, lab: str, host: str) -> Path:
        """One host: its upper layer, its mounted tree, its description."""
        return self.lab(lab) / "hosts" / host

    def volumes(self, lab: str) -> Path:
        """The lab's volumes: a file and a mount point for each."""
        return self.lab(lab) / "volumes"


def bridge(lab: str) -> str:
    """The name of a lab's bridge."""
    return f"pl-{lab}"
