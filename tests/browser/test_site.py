# SPDX-License-Identifier: Apache-2.0
"""What visitors, authors and administrators can do over HTTPS in a real browser."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import picture
from tests.lab_session import remote

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

    from infra.inventory import Fleet
    from loadtests.probe import Target
    from tests.browser.conftest import Account

pytestmark = pytest.mark.host


def log_in(page: Page, site: Target, account: Account) -> None:
    """Log in as a person does: not before the page has moved the cursor to its first field by itself.

    It does so a fifth of a second after loading; a password typed at that moment lands in the other field.
    """
    page.goto(f"https://{site.domain}/wp-login.php")
    expect(page.locator("#user_login")).to_be_focused()
    page.fill("#user_login", account.login)
    page.fill("#user_pass", account.password)
    page.click("#wp-submit")
    page.wait_for_url(re.compile(r"/wp-admin/"))


def test_a_visitor_reads_the_front_page_without_any_third_party(page: Page, site: Target) -> None:
    """Remote fonts, avatars and scripts tell others who visits, and are blocked in China."""
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    response = page.goto(f"https://{site.domain}/")
    assert response is not None
    assert response.status == 200
    expect(page.locator("main, [role=main]").first).to_be_visible()
    assert hosts == {site.domain}, f"the page asked other hosts: {hosts}"
    assert not page.context.cookies(), "an anonymous visitor got a cookie"


def test_http_leads_to_https(page: Page, site: Target) -> None:
    """A typed name without a scheme must arrive at the encrypted site."""
    page.goto(f"http://{site.domain}/")
    assert page.url.startswith(f"https://{site.domain}/")


def test_an_administrator_logs_in_and_sees_the_dashboard(
    page: Page, site: Target, administrator: Account
) -> None:
    """The first password that the platform generated is the one that works."""
    log_in(page, site, administrator)
    expect(page.locator("#wpadminbar")).to_be_visible()
    page.goto(f"https://{site.domain}/wp-admin/users.php")
    expect(page.locator("#the-list")).to_contain_text(administrator.login)


def test_an_author_publishes_in_chinese_and_english_with_a_picture(
    page: Page, browser: BrowserContext, site: Target, author: Account, fleet: Fleet, tmp_path: Path
) -> None:
    """Publish and upload through the REST interface as the editor does, then read the page as a visitor."""
    log_in(page, site, author)
    upload = tmp_path / "upload.png"
    page.screenshot(path=upload)
    stamp = str(int(time.time()))
    link = page.evaluate(PUBLISH, [f"你好 Hello {stamp}", list(upload.read_bytes())])
    browser.clear_cookies()
    visitor = browser.new_page()
    visitor.goto(link)
    expect(visitor.locator("h1").first).to_contain_text(f"你好 Hello {stamp}")
    image = visitor.locator("article img, main img").first
    expect(image).to_be_visible()
    assert image.evaluate("node => node.naturalWidth") > 0
    visitor.goto(f"https://{site.domain}/")
    picture(visitor, "site")
    visitor.close()


def test_every_target_of_prometheus_is_up(page: Page, prometheus: Target) -> None:
    """What an engineer looks at first: the list of targets, without one that is down."""
    page.goto(f"https://{prometheus.domain}:{prometheus.port}{prometheus.path}")
    expect(page.locator("body")).to_contain_text("node-metrics")
    expect(page.locator("body")).not_to_contain_text("DOWN")
    picture(page, "prometheus-targets")


PUBLISH = """
async ([title, bytes]) => {
  const nonce = await (await fetch('/wp-admin/admin-ajax.php?action=rest-nonce')).text();
  const call = async (path, body, headers) => {
    const all = {'X-WP-Nonce': nonce, ...headers};
    const answer = await fetch('/wp-json/wp/v2/' + path, {method: 'POST', body, headers: all});
    if (!answer.ok) { throw new Error(path + ': ' + answer.status + ' ' + await answer.text()); }
    return answer.json();
  };
  const media = await call('media', new Uint8Array(bytes),
    {'Content-Type': 'image/png', 'Content-Disposition': 'attachment; filename="verify.png"'});
  const image = '<img src="' + media.source_url + '" alt="verify">';
  const content = '<p>社区的第一段文字。 A first paragraph.</p>' + image;
  const body = JSON.stringify({title, content, status: 'publish'});
  const post = await call('posts', body, {'Content-Type': 'application/json'});
  return post.link;
}
"""


def test_a_visitors_comment_waits_for_review(page: Page, site: Target, fleet: Fleet) -> None:
    """content.review: nothing that a visitor writes is public before somebody approved it."""
    words = f"很好 nice {int(time.time())}"
    first = next(iter(fleet.platform.sites))
    app = remote(fleet, fleet.platform.with_role("app")[0].name)
    listed = app.run(f"wpctl --site={first} post list --post_status=publish --format=ids")
    assert listed.rc == 0, listed.stderr
    page.goto(f"https://{site.domain}/?p={listed.stdout.split()[0]}")
    page.fill("#comment", words)
    page.fill("#author", "Visitor")
    page.fill("#email", "visitor@example.org")
    page.click("#submit")
    page.context.clear_cookies()
    page.goto(f"https://{site.domain}/?p={listed.stdout.split()[0]}")
    expect(page.locator("body")).not_to_contain_text(words)
    held = app.run(f"wpctl --site={first} comment list --status=hold --format=json")
    assert words in held.stdout.encode().decode("unicode_escape", errors="ignore") or words in held.stdout
