# SPDX-License-Identifier: Apache-2.0
"""content.publish: what was approved for a time is public at that time, without anybody at a keyboard."""

from __future__ import annotations

import re
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
BLOCKS = {
    "quote": '<!-- wp:quote --><blockquote class="wp-block-quote"><p>q</p></blockquote><!-- /wp:quote -->',
    "table": '<!-- wp:table --><figure class="wp-block-table"><table><tr><td>t</td></tr></table></figure>'
    "<!-- /wp:table -->",
    "separator": '<!-- wp:separator --><hr class="wp-block-separator"/><!-- /wp:separator -->',
}
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


def test_a_page_has_the_styles_of_its_blocks_and_of_no_other(fleet: Fleet, site: Target) -> None:
    """Styles are made known when the first block is rendered: a page without blocks does not pay for them."""
    by, reader = editor(fleet), Visitor(site, fleet.platform.with_role("edge")[0].address)
    with_blocks, without = by.publish(f"b{time.time_ns()}", "".join(BLOCKS.values())), by.publish("plain")
    try:
        page, plain = reader.get(with_blocks[1]).text, reader.get(without[1]).text
    finally:
        for number, _ in (with_blocks, without):
            by.delete(number)
    styled = {name for name in [*BLOCKS, "gallery"] if f"wp-block-{name}-inline-css" in page}
    assert styled == set(BLOCKS), sorted(re.findall(r"id=['\"](wp-block-[a-z-]+-css)", page))
    assert not re.findall(r"id=['\"]wp-block-(?!library)[a-z-]+-inline-css", plain)


def test_the_script_for_replies_comes_with_the_first_comment(fleet: Fleet, site: Target) -> None:
    """Nobody can reply where nobody has spoken; where somebody has, the script must be there."""
    by, reader = editor(fleet), Visitor(site, fleet.platform.with_role("edge")[0].address)
    number, path = by.publish(f"reply{time.time_ns()}")
    try:
        assert "comment-reply.min.js" not in reader.get(path).text
        about = (f"--comment_post_ID={number}", "--comment_content=first", "--comment_approved=1")
        by.wpctl("comment", "create", *about)
        deadline = time.monotonic() + 10
        while "comment-reply.min.js" not in reader.get(path).text:
            assert time.monotonic() < deadline, reader.get(path).text[-3000:]
            time.sleep(0.2)
    finally:
        by.delete(number)
