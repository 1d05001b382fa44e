# SPDX-License-Identifier: Apache-2.0
"""The one table of exit codes, and the error that every command of ours ends with."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command of ours says by its exit code (`status --nagios` alone speaks 0 to 3 of its own)."""

    DONE = 0
    FAILED = 1
    PARTIAL = 3
    REFUSED = 4
    OUTSIDE_WINDOW = 5
    INTEGRITY = 6
    KEY = 7
    LOCKED = 8
    NO_SPACE = 9
    SLO_BREACH = 10
    REGRESSION = 11
    INCONCLUSIVE = 12
    INVALID_MEASUREMENT = 13
    USAGE = 64
    ROLLBACK_FAILED = 93
    INTERRUPTED = 130

    @property
    def outcome(self) -> str:
        """Return the word that journals and reports use for this code, as in `slo breach`."""
        return self.name.lower().replace("_", " ")


class PerennialError(Exception):
    """What a person must know: what is wrong, where, the nearest valid word, and the next command."""

    def __init__(
        self, what: str, *, where: str = "", nearest: str = "", next_: str = "", code: Exit = Exit.FAILED
    ) -> None:
        """Keep the parts; `code` is the exit code that a command ends with."""
        self.what, self.where, self.nearest, self.next, self.code = what, where, nearest, next_, code
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return one line: `where: what (did you mean 'x'?); next: command`."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        text += f" (did you mean {self.nearest!r}?)" if self.nearest else ""
        return text + (f"; next: {self.next}" if self.next else "")


class Interrupted(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived; raised in place of the default death so that what was begun is recorded."""
