# SPDX-License-Identifier: Apache-2.0
"""content.publish: what was approved for a time is public at that time, without anybody at a keyboard."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.lab.acts import Visitor, editor

if TYPE_CHECKING:
    from infra.inventory import Fleet
    from loadtests.probe import Target

pytestmark = pytest.mark.lab
LATE_SECONDS = 120  # two periods of the task: later than that its alert fires


@pytest.mark.timeout(300)
def test_a_scheduled_post_is_public_on_time_and_not_before(fleet: Fleet, site: Target) -> None:
    """The task `wp-cron` runs each minute on every application host; one of them publishes."""
    by = editor(fleet)
    readers = [Visitor(site, host.address) for host in fleet.platform.with_role("edge")]
    due = datetime.now(UTC) + timedelta(seconds=75)  # WordPress publishes what is due within a minute at once
    zone = ZoneInfo(fleet.platform.sites[by.site].definition.timezone)  # WordPress speaks the site's time
    slug = f"scheduled-{time.time_ns()}"
    number = by.wpctl(
        "post", "create", f"--post_title={slug}", f"--post_name={slug}", "--post_status=future",
        f"--post_date={due.astimezone(zone):%Y-%m-%d %H:%M:%S}", "--porcelain",
    ).strip()  # fmt: skip
    path = f"/{slug}/"
    assert {reader.get(path).status_code for reader in readers} == {httpx.codes.NOT_FOUND}
    deadline = due + timedelta(seconds=LATE_SECONDS)
    waiting = list(readers)
    while waiting and datetime.now(UTC) < deadline:
        public = [reader for reader in waiting if reader.get(path).status_code == httpx.codes.OK]
        assert not public or datetime.now(UTC) >= due, "public before its time"
        waiting = [reader for reader in waiting if reader not in public]
        time.sleep(1)
    by.delete(int(number))
    assert not waiting, f"{path} is not public {LATE_SECONDS} s after its time on {len(waiting)} edges"
