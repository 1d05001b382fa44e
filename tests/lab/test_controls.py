# SPDX-License-Identifier: Apache-2.0
"""Drills that must not pass: a page that does not mend, no fault, a blunted rule, monitoring that is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alerts import commands
from alerts.drill.control import CONTROLS

if TYPE_CHECKING:
    from infra.inventory import Fleet

pytestmark = [pytest.mark.lab, pytest.mark.drill, pytest.mark.timeout(2400)]
# unlike roles, so that those which leave the monitoring alone run side by side
FAULTS = {
    "null": "NginxDown/masked",
    "broken": "MariaDBDown/masked",
    "quiet": "VarnishDown/varnish-masked",
    "mutated": "PhpFpmDown/masked",
    "blind": "NginxDown/masked",
}


def test_every_control_goes_red(fleet: Fleet) -> None:
    """One that stays green would mean that drills pass whatever happens."""
    ones = [
        one._replace(control=control)
        for control in CONTROLS
        for one in commands.chosen([FAULTS[control]], resume=False)
    ]
    found = commands.carry_out(fleet, ones, most=3, minutes=30, record=False)
    assert sorted(one.control for one in found) == sorted(CONTROLS)
    assert all(one.passed for one in found), "\n".join(one.line() for one in found)
