# SPDX-License-Identifier: Apache-2.0
"""A fleet in memory: records what was run and answers from rules, for tests and rehearsals."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from infra.fleet.remote import Result

Answer = Callable[[str, str, str], "str | int | Result | None"]


@dataclass
class MemoryRunner:
    """Answers commands by rules, first match wins; what no rule knows succeeds without output.

    A rule gets host, command line and stdin; it returns stdout, exit code, a Result, or None to pass.
    """

    dry_run: bool = False
    rules: list[Answer] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)
    reads: list[tuple[str, str]] = field(default_factory=list)

    def run(
        self,
        host: str,
        command: Sequence[str],
        *,
        safe: bool = False,
        stdin: str = "",
        timeout: float = 60,
        root: bool = True,
    ) -> Result:
        """Record the command and answer it; a dry run skips what is not safe."""
        del timeout, root
        line = shlex.join(command)
        if self.dry_run and not safe:
            return Result(host, 0, skipped=True)
        (self.reads if safe else self.commands).append((host, line))
        for rule in self.rules:
            answer = rule(host, line, stdin)
            if isinstance(answer, Result):
                return answer
            if isinstance(answer, str):
                return Result(host, 0, answer)
            if answer is not None:
                return Result(host, answer, "", f"{line}: refused by the test")
        return Result(host, 0)

    def lines(self, host: str | None = None) -> list[str]:
        """Return the changing commands run so far, of one host or with `host: ` before each."""
        if host is None:
            return [f"{name}: {line}" for name, line in self.commands]
        return [line for name, line in self.commands if name == host]
