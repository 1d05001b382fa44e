# SPDX-License-Identifier: Apache-2.0
"""Alerting falls silent for real: the switch on another host tells people, and tells them when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.delivery import Inbox, awaited
from tests.lab_session import ENVIRONMENT, remote

if TYPE_CHECKING:
    from infra.inventory import Fleet

# deadman_silence_seconds of the role, its tick, and a Watchdog that was evaluated just before the end
SILENCE, SLACK = 300.0, 30.0

pytestmark = [pytest.mark.lab, pytest.mark.drill]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("unit", ["prometheus", "prometheus-alertmanager"])
def test_silence_is_told_after_five_minutes_and_its_end_too(fleet: Fleet, unit: str) -> None:
    """Neither Prometheus nor Alertmanager can tell that it is dead itself."""
    host = remote(fleet, fleet.platform.with_role("monitoring")[0].name)
    inbox = Inbox(fleet)
    host.check_output(f"systemctl stop {unit}")
    try:
        (mail,) = awaited(lambda: inbox.mails("alerting on"), SILENCE + 60 + SLACK, "the mail of the silence")
        waited = mail.time - inbox.start
    finally:
        host.check_output(f"systemctl start {unit}")
    assert mail.subject == f"[PAGE] [{ENVIRONMENT}] alerting on {host.check_output('hostname')} is silent"
    assert f"perennial runbook run Watchdog --env {ENVIRONMENT} --without-alert" in mail.text
    assert SILENCE - 75 <= waited <= SILENCE + SLACK, f"told after {waited:.0f} s"
    over = awaited(lambda: inbox.mails("is back"), 180, "the mail of the end")
    assert [one.subject for one in over] == [
        f"[RESOLVED] [{ENVIRONMENT}] alerting on {host.check_output('hostname')} is back"
    ]
    assert len(inbox.mails("alerting on")) == 2
