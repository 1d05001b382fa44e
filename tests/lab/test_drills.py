# SPDX-License-Identifier: Apache-2.0
"""A few drills with each run of the tests: others with each commit, and a control that must go red."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from alerts import commands
from alerts.drill import result
from alerts.drill.together import Together
from infra.release import commit
from infra.runbook.rules import alerts

if TYPE_CHECKING:
    from alerts.drill.together import One
    from infra.inventory import Fleet
    from infra.spec import Platform

pytestmark = pytest.mark.lab
SHARE = 4
SHORT_SECONDS = 60.0
# faults that reach another host by the addresses and names of the lab `lab` are drilled there alone
OF_LAB = re.compile(r'lab\.yml|"lab\\?"|10\.87\.|\.lab\.(test|internal)')


def quick(one: One) -> bool:
    """Tell whether a drill is short, lets others run beside it, and has passed as it is now."""
    fault = one.fault
    short = alerts()[one.case.alert].for_seconds <= SHORT_SECONDS and not fault.patience
    beside = not (one.case.alone or one.case.touches or fault.touches or fault.load or fault.also)
    anywhere = not OF_LAB.search(fault.model_dump_json())
    return short and beside and anywhere and result.passed(one.case, fault)


def of_this_commit(platform: Platform) -> list[One]:
    """Return SHARE drills from a place in the list that the commit gives, unlike roles first."""
    known = [one for one in commands.chosen([], resume=False) if quick(one)]
    start = int(commit()[:8], 16) % len(known)
    turned = known[start:] + known[:start]
    side_by_side: list[One] = []
    busy: set[str] = set()
    for one in turned:
        if not Together(platform, SHARE).roles(one) & busy:
            side_by_side.append(one)
            busy |= Together(platform, SHARE).roles(one)
    return (side_by_side + [one for one in turned if one not in side_by_side])[:SHARE]


@pytest.mark.timeout(900)
def test_drills_of_this_commit_pass_and_the_null_control_goes_red(fleet: Fleet) -> None:
    """Alerts that fire and pages that mend are shown with each run, not once."""
    ones = of_this_commit(fleet.platform)
    ones.append(ones[0]._replace(control="null"))
    found = commands.carry_out(fleet, ones, most=SHARE, minutes=10, record=False)
    assert len(found) == SHARE + 1
    assert all(one.passed for one in found), "\n".join(one.line() for one in found)
