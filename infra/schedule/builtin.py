# SPDX-License-Identifier: Apache-2.0
"""Tasks that reach the whole fleet from here; the control host's timers call them by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.fleet import journal, lock
from infra.fleet.exits import Exit
from infra.inventory import read_fleet
from infra.schedule.playbook import Outcome, play

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Builtin:
    """A task that runs in this process; `changes` tells whether it may change hosts."""

    arguments: tuple[str, ...]
    changes: bool
    passed: Callable[[Outcome], bool]


def as_described(outcome: Outcome) -> bool:
    """Tell whether every host is as described: nothing failed, nothing would change."""
    return outcome.exit_code == 0 and not outcome.failed and not outcome.changed


def completed(outcome: Outcome) -> bool:
    """Tell whether nothing failed; changes are what such a task is for."""
    return outcome.exit_code == 0 and not outcome.failed


BUILTIN = {
    "converge-check": Builtin(("--check",), changes=False, passed=as_described),
    "cert-renew": Builtin(("--tags", "tls"), changes=True, passed=completed),
}


def run(task: str, environment: str) -> bool:
    """Run a built-in task, print what differed and the counts as the last line; return whether it passed."""
    builtin = BUILTIN[task]
    fleet = read_fleet(environment)
    with journal.act(
        environment,
        f"perennial schedule run {task}",
        reason=fleet.platform.tasks[task].title,
        hosts=fleet.platform.hosts,
        fleet=fleet,
    ) as act:
        with lock.held(fleet if builtin.changes else None, f"schedule: {task}"):
            outcome = play(environment, *builtin.arguments)
        if builtin.changes:
            act.change(*outcome.changed)
        passed = builtin.passed(outcome)
        act.outcome = Exit.DONE if passed else Exit.FAILED
    for line in outcome.lines():
        print(line)
    print(json.dumps({"items": outcome.items}))
    return passed
