# SPDX-License-Identifier: Apache-2.0
"""Controls: drills that must not pass. One that passes shows that drills would pass whatever happens.

| control | what is done | what the drill must find |
|---|---|---|
| `null` | the page only looks | the alert stays |
| `broken` | the page's first change fails | the fault is not mended |
| `quiet` | there is no fault | the alert does not fire |
| `mutated` | the running rule waits for half a day | the alert does not fire |
| `blind` | Prometheus is stopped after the fault | nothing is shown: invalid |
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.fleet.remote import must
from infra.runbook import labels as variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alerts.drill.case import Case
    from infra.fleet.remote import Runner
    from infra.spec import Platform

CONTROLS = ("null", "broken", "quiet", "mutated", "blind")

# $1 alert. Fails where the running rules have no `for` of this alert: nothing would be mutated.
MUTATE = r"""
set -eu
file=/etc/prometheus/perennial.rules.yml
cp --preserve=all "$file" /run/perennial-rules-of-before
sed -i "/ alert: $1\$/,/ alert: /s/^\( *for:\) .*/\1 12h/" "$file"
! cmp --silent "$file" /run/perennial-rules-of-before
systemctl reload prometheus.service
"""
RESTORE = r"""
set -eu
cp --preserve=all /run/perennial-rules-of-before /etc/prometheus/perennial.rules.yml
rm /run/perennial-rules-of-before
systemctl reload prometheus.service
"""
BEFORE_AND_AFTER = {
    "mutated": (MUTATE, RESTORE),
    "blind": ("systemctl stop prometheus.service", "systemctl start prometheus.service"),
}


@contextmanager
def applied(control: str, case: Case, platform: Platform, runner: Runner) -> Iterator[None]:
    """Do to the monitoring what `control` asks for while the block runs, and take it back in any case."""
    if control not in BEFORE_AND_AFTER:
        yield
        return
    before, after = BEFORE_AND_AFTER[control]
    host = variables.select(platform, "role:monitoring")[0]
    must(runner.run(host, ["bash", "-c", before, control, case.alert]), f"control {control}")
    try:
        yield
    finally:
        must(runner.run(host, ["bash", "-c", after, control, case.alert]), f"undoing control {control}")
