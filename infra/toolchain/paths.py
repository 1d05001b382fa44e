# SPDX-License-Identifier: Apache-2.0
"""Where a checkout's tools and private state lie. Standard library only: set-up runs before the libraries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Paths:
    """Paths of one checkout."""

    root: Path = CHECKOUT

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The interpreter of the virtual environment."""
        return self.venv / "bin" / "python"

    @property
    def lock(self) -> Path:
        """The hash-locked requirements that the virtual environment holds."""
        return self.root / "requirements" / "dev.txt"

    @property
    def tools(self) -> Path:
        """Tools fetched or built by set-up."""
        return self.root / ".tools"

    @property
    def pulumi(self) -> Path:
        """The Pulumi CLI itself, with the language host beside it."""
        return self.tools / "pulumi" / "pulumi"

    @property
    def wrapper(self) -> Path:
        """The command that people and programs call: the CLI with this checkout's home and backend."""
        return self.tools / "bin" / "pulumi"

    @property
    def state(self) -> Path:
        """Private state of the checkout: Pulumi's backend, passphrase, locks."""
        return self.root / ".state"

    @property
    def backend(self) -> Path:
        """Pulumi's file backend."""
        return self.state / "pulumi"

    @property
    def passphrase(self) -> Path:
        """The passphrase that encrypts secrets in Pulumi's state."""
        return self.state / "passphrase"
