# SPDX-License-Identifier: Apache-2.0
"""The areas: their figures, what each must reach, and the rows that measure them, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.spec.sizing import PHP_WORKER_MIB
from loadtests.bench.figures import Goal, Reach
from loadtests.bench.rows import cached, commands, database, grow, rest, takedown, uncached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loadtests.bench.figures import Measurement
    from loadtests.bench.run import Run

# At rest first, before anything is loaded; the row that changes the platform last.
ROWS: dict[str, Callable[[Run], list[Measurement]]] = {
    "rest": rest.measure,
    "pulumi-up": commands.measure_pulumi,
    "converge": commands.measure_converge,
    "make-up": commands.measure_up,
    "takedown": takedown.measure,
    "cached-page": cached.measure,
    "uncached-page": uncached.measure,
    "php-worker": uncached.measure_workers,
    "one-more-app": grow.measure,
}
DATABASE_ROWS: dict[str, Callable[[Run], list[Measurement]]] = {
    "switchover": database.measure_switchover,
    "failover": database.measure_failover,
}
AREAS = {"foundation": tuple(ROWS), "database": tuple(DATABASE_ROWS)}
EVERY_ROW = ROWS | DATABASE_ROWS
NOTHING = Reach(0, "")
GOALS = (
    Goal("rest", "rest-memory", "whole lab at rest: memory", Reach(3, "GiB")),
    Goal("rest", "rest-cpu", "whole lab at rest: CPU", Reach(0.2, "core")),
    Goal("pulumi-up", "pulumi-up", "pulumi up, nothing to do", Reach(10, "s")),
    Goal("pulumi-up", "pulumi-up-touched", "… resources touched", NOTHING),
    Goal("converge", "converge", "converge of all hosts, nothing to do", Reach(90, "s")),
    Goal("converge", "converge-changed", "… tasks that changed a host", NOTHING),
    Goal("make-up", "make-up", "second make up, nothing to do", Reach(120, "s")),
    Goal("make-up", "make-up-changed", "… tasks that changed a host", NOTHING),
    Goal("make-up", "make-up-touched", "… resources touched", NOTHING),
    Goal("takedown", "takedown", "unpublished, gone on every edge (p99)", Reach(10, "s")),
    Goal(
        "cached-page",
        "cached-page",
        "cached page through the virtual IP; reference: nginx, static file",
        Reach(0.6, "×", at_least=True),
    ),
    Goal(
        "uncached-page",
        "uncached-page",
        "uncached page through one edge; reference: stock WordPress + Apache",
        Reach(2.5, "×", at_least=True),
    ),
    Goal("php-worker", "php-worker", "largest PHP-FPM worker after load", Reach(PHP_WORKER_MIB, "MiB")),
    Goal("one-more-app", "one-more-app", "one more app host to serving", Reach(90, "s")),
)


DATABASE_GOALS = (
    Goal("switchover", "switchover-gap-p50", "switchover: writes stand still (p50)", Reach(300, "ms")),
    Goal("switchover", "switchover-gap-max", "… longest of all runs", Reach(1, "s")),
    Goal("switchover", "switchover-failed", "… inserts and comments that failed", NOTHING),
    Goal("switchover", "switchover-lost", "… acknowledged and lost, or doubled", NOTHING),
    Goal("failover", "failover", "failover, first step to writes (writer masked and killed)", Reach(30, "s")),
    Goal("failover", "failover-lost", "… acknowledged and lost, semi-sync on", NOTHING),
)


def goals_of(rows: Iterable[str]) -> list[Goal]:
    """Return the goals that the given rows are judged by."""
    chosen = set(rows)
    return [goal for goal in (*GOALS, *DATABASE_GOALS) if goal.row in chosen]
