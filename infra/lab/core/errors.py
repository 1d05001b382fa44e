# SPDX-License-Identifier: Apache-2.0
"""Errors of the lab core, each worded for the person at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.lab.core.model import Model


class LabError(Exception):
    """An act could not be done; the text says what, where and what to do next."""


class CancelledError(LabError):
    """The caller asked to stop; what was begun is taken up again by the next run."""


class DeadlineError(LabError):
    """The act did not end within its time limit."""


class UnhealthyError(LabError):
    """A resource exists but does not serve yet, so the engine must keep it and repair it in the next run.

    Args:
        reasons: what is wrong, one sentence each.
        state: the resource as it exists.
    """

    def __init__(self, reasons: tuple[str, ...], state: Model) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons
        self.state = state
