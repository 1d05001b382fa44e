# SPDX-License-Identifier: Apache-2.0
"""The synthetic journey against a strict stand-in of the site: a step fails by its name and with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from infra.fleet.target import Target
from infra.journey import browser as browsers
from infra.journey import journey as journeys
from infra.journey.steps import Account
from infra.spec import load
from tests.unit.journey_world import (
    DOMAIN,
    LOGIN,
    NAMES,
    PASSWORD,
    REST,
    TARGET,
    Site,
    Time,
    answer,
    carried_out,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_run_passes_every_step_and_leaves_nothing() -> None:
    """Neither its own post, comment and session, nor the post of a run that was killed."""
    site, time = Site(), Time()
    report = carried_out(site, time)
    assert (report.failed, report.before, time.paused) == (None, "", 0)
    assert [done.step for done in report.steps] == NAMES
    assert (site.posts, site.comments, site.sessions) == ({}, {}, set())
    assert site.asked[-1] == "GET /wp-admin/"


def raising(error: type[httpx.TransportError]) -> Callable[[httpx.Request], httpx.Response]:
    """Return what ends every request so."""

    def act(request: httpx.Request) -> httpx.Response:
        raise error("refused by the network", request=request)

    return act


NO_RIGHT = '{"code": "rest_cannot_create", "message": "Sorry, you are not allowed to create posts."}'
PUBLIC = f'{{"id": 9, "link": "https://{DOMAIN}/journey-x/", "status": "publish"}}'
FAULTS: list[tuple[str, Callable[[httpx.Request], httpx.Response], str, str]] = [
    ("GET /wp-login.php", raising(httpx.ConnectError), "log in", "no answer to GET /wp-login.php: refused"),
    ("GET /wp-login.php", raising(httpx.ReadTimeout), "log in", "within its time"),
    ("GET /wp-login.php", answer(200, "<body>Down for repair</body>"), "log in", "has no form"),
    ("POST /wp-login.php", answer(429), "log in", "was answered 429: (nothing)"),
    (
        "POST /wp-login.php",
        answer(200, "<body>The password is wrong."),
        "log in",
        "200: The password is wrong.",
    ),
    ("POST /wp-login.php", answer(302, location="/elsewhere"), "log in", "no session and led to /elsewhere"),
    ("GET /wp-admin/admin-ajax.php", answer(200, "0"), "log in", "no nonce"),
    (f"GET {REST}/users/me", answer(200, "<b>Notice</b>"), "clean up", "answered no JSON: Notice"),
    (f"GET {REST}/users/me", answer(200, "{}"), "clean up", "has no id"),
    (
        f"GET {REST}/posts",
        answer(503, "<h1>Service Unavailable</h1>"),
        "clean up",
        "503: Service Unavailable",
    ),
    (f"DELETE {REST}/posts/N", answer(200, '{"deleted": false}'), "clean up", "posts/7 was not deleted"),
    (f"POST {REST}/posts", answer(403, NO_RIGHT), "post", "403: Sorry, you are not allowed"),
    (f"POST {REST}/posts", answer(201, PUBLIC), "post", "the post is publish, not private"),
    ("GET /post", answer(404, "<body>Nothing here</body>"), "read", "was answered 404: Nothing here"),
    ("GET /post", answer(200, "<body>Another post</body>"), "read", "lacks '合成巡检 synthetic journey"),
    ("POST /wp-comments-post.php", answer(403, "<p>Forbidden</p>"), "comment", "403: Forbidden"),
    ("POST /wp-comments-post.php", answer(302, location="/wp-login.php"), "comment", "led to /wp-login.php"),
    (
        "POST /wp-comments-post.php",
        answer(302, location="https://evil.test/#comment-1"),
        "comment",
        "evil.test",
    ),
    (f"DELETE {REST}/comments/N", answer(200, '{"deleted": false}'), "delete", "comments/51 was not deleted"),
    (f"DELETE {REST}/comments/N", answer(401, "{}"), "delete", "was answered 401"),
    ("GET /wp-admin/", answer(200, "dashboard"), "log out", "was answered 200: dashboard"),
    ("GET /wp-admin/", answer(302, location="/wp-admin/index.php"), "log out", "the session is not over"),
]


@pytest.mark.parametrize(("request_line", "broken", "step", "reason"), FAULTS)
def test_each_fault_is_named_by_its_step_and_reason(
    request_line: str, broken: Callable[[httpx.Request], httpx.Response], step: str, reason: str
) -> None:
    """On-call reads the step in the alert and the reason in the report."""
    site, time = Site(), Time()
    site.broken[request_line] = broken
    report = carried_out(site, time)
    assert report.failed is not None, report
    assert report.failed.step == step
    assert reason in report.failed.reason
    assert time.paused == journeys.AGAIN_AFTER
    assert report.before.startswith(f"{step}: ")
    assert not any(PASSWORD in line for line in report.lines())


def test_a_comment_that_waits_for_review_is_no_success() -> None:
    """Its author sees it, so that the words alone would do."""
    site = Site()
    site.moderated = True
    report = carried_out(site)
    assert report.failed is not None
    assert (report.failed.step, "waits for review" in report.failed.reason) == ("comment", True)


def test_a_page_without_the_form_or_the_link_is_named() -> None:
    """A theme may lose both."""
    for lost, step in (("commentform", "comment"), ("action=logout", "log out")):
        site = Site()
        site.broken["GET /post"] = _without(site, lost)
        report = carried_out(site)
        assert report.failed is not None
        assert report.failed.step == step


def _without(site: Site, lost: str) -> Callable[[httpx.Request], httpx.Response]:
    def show(request: httpx.Request) -> httpx.Response:
        shown = site.show(request)
        return httpx.Response(shown.status_code, text=shown.text.replace(lost, "lost"))

    return show


def test_a_comment_that_is_not_shown_is_named() -> None:
    """Accepted and not on the page: a cache in between, or a database that lost it."""
    site = Site()
    site.broken["GET /post"] = _without(site, 'id="comment-51"')
    report = carried_out(site)
    assert report.failed is not None
    assert report.failed.reason == "the comment is not on the page"


def test_a_session_that_outlives_its_end_is_named() -> None:
    """The cookie is gone from the browser and still good: whoever copied it is still in."""
    site = Site()
    site.forgets_sessions = False
    report = carried_out(site)
    assert report.failed is not None
    assert report.failed.step == "log out"


def test_one_failed_attempt_is_tried_again_and_told() -> None:
    """A connection that is cut while an address moves is no failure; the report says that it was."""
    site = Site()
    refused = iter([True])

    def once(request: httpx.Request) -> httpx.Response:
        if next(refused, False):
            raise httpx.ReadError("cut", request=request)
        return site.comment(request)

    site.broken["POST /wp-comments-post.php"] = once
    report = carried_out(site)
    assert report.failed is None
    assert report.before == "comment: no answer to POST /wp-comments-post.php: cut"
    assert next(report.lines()) == f"first attempt failed: {report.before}; tried again after 20 s"
    assert site.posts == {}, "the second attempt removes what the first one left"


def test_a_step_that_takes_too_long_fails_though_it_worked() -> None:
    """Whoever waits eleven seconds for the log-in has gone away."""
    report = carried_out(Site(), Time(step=11))
    assert report.failed is not None
    assert (report.failed.step, report.failed.reason) == ("log in", "took 11.0 s, at most 10.0 s")


def test_two_attempts_end_before_the_deadline_of_the_task() -> None:
    """A run that its runner ends could not say at which step it stood."""
    task = load("lab").tasks["site-journey"]
    longest = 2 * journeys.ATTEMPT_SECONDS + journeys.AGAIN_AFTER
    assert longest + 10 <= task.deadline_seconds < 120
    report = carried_out(Site(), Time(step=4.5))
    assert report.failed is not None, "steps within their limits must not add up to more than an attempt has"


def test_what_the_site_repeats_of_the_password_is_taken_out() -> None:
    """Reasons stand in reports, in the journal and in the log store."""
    site = Site()
    site.broken["POST /wp-login.php"] = answer(500, f"<body>failed for {PASSWORD}</body>")
    report = carried_out(site)
    assert report.failed is not None
    assert report.failed.reason.endswith("500: failed for (the password)")
    assert PASSWORD not in repr(Account(LOGIN, PASSWORD))


def test_a_browser_sends_to_the_address_and_speaks_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name need not resolve; the certificate is verified for it all the same."""
    seen: list[httpx.Request] = []

    def handle(_: object, request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, headers={"set-cookie": "a=b; path=/"}, request=request)

    monkeypatch.setattr(Target, "context", lambda _: True)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    with browsers.Browser(TARGET) as browser:
        browser.ask("GET", "/x", 200)
        assert browser.cookies("a") == {"a": "b"}
        assert [cookie.domain for cookie in browser.client.cookies.jar] == [DOMAIN]
    (sent,) = seen
    assert (sent.url.host, sent.headers["host"], sent.extensions["sni_hostname"]) == (
        "192.0.2.10",
        DOMAIN,
        DOMAIN,
    )
