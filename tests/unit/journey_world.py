# SPDX-License-Identifier: Apache-2.0
"""A site as the journey meets it: the pages of WordPress that it uses, no others; each can be broken."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx

from infra.fleet.target import Target
from infra.journey import browser as browsers
from infra.journey import journey as journeys
from infra.journey.steps import STEPS, Account, Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOMAIN = "community.lab.test"
LOGIN, PASSWORD, NONCE = "journey", "planted-password", "0123456789"
SESSION = "wordpress_logged_in_0a"
TARGET = Target("192.0.2.10", DOMAIN, Path("/nowhere"))
NAMES = [step.name for step in STEPS]
REST = "/wp-json/wp/v2"
LOGIN_PAGE = """<!DOCTYPE html><html><head><title>Log in</title><script>var unseen = 1;</script></head>
<body>
<form name="loginform" id="loginform" action="https://community.lab.test/wp-login.php" method="post">
<p><label for="user_login">Name</label><input type="text" name="log" id="user_login" value="" /></p>
<input type="password" name="pwd" value=""><input name="rememberme" type="checkbox" value="forever">
<input type="submit" name="wp-submit" value="Log in">
<input type="hidden" name="redirect_to" value="https://community.lab.test/wp-admin/">
<input type="hidden" name="testcookie" value="1"></form></body></html>"""
PAGE = """<html><body><h1>Private: {title}</h1><div class="entry-content">{content}</div>
<ol><li id="comment-{number}"><p>{comment}</ol>
<form action="https://community.lab.test/wp-comments-post.php" method="post" id="commentform">
<p class="logged-in-as">
<a href="https://community.lab.test/wp-login.php?action=logout&amp;_wpnonce=ab">Out</a></p>
<textarea id="comment" name="comment"></textarea><input name="submit" type="submit" value="Send">
<input type="hidden" name="comment_post_ID" value="{post}">
<input type="hidden" name="comment_parent" value="0">
</form></body></html>"""


class Site:
    """Answers as WordPress does; `broken` maps a request, as `POST /path`, to what it answers instead."""

    def __init__(self) -> None:
        """Begin with a post that a killed run left."""
        self.posts: dict[int, dict[str, str]] = {7: {"title": "left", "content": "", "status": "private"}}
        self.comments: dict[int, str] = {}
        self.sessions: set[str] = set()
        self.asked: list[str] = []
        self.broken: dict[str, Callable[[httpx.Request], httpx.Response]] = {}
        self.moderated = False
        self.forgets_sessions = True

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; what a browser must not send is an error of the test."""
        assert request.url.scheme == "https"
        assert request.headers["host"] == DOMAIN
        line = f"{request.method} {re.sub('[0-9]+$', 'N', request.url.path)}"
        self.asked.append(line)
        if request.url.path.startswith("/journey-"):
            line = f"{request.method} /post"
        if line in self.broken:
            return self.broken[line](request)
        return self.answers()[line](request)

    def answers(self) -> dict[str, Callable[[httpx.Request], httpx.Response]]:
        """Return all that this site knows."""
        return {
            "GET /wp-login.php": self.leave_or_look,
            "POST /wp-login.php": self.enter,
            "GET /wp-admin/": self.administration,
            "GET /wp-admin/admin-ajax.php": lambda request: httpx.Response(200, text=self.nonce(request)),
            "GET /wp-json/wp/v2/users/me": self.rest(lambda _: httpx.Response(200, json={"id": 3})),
            "GET /wp-json/wp/v2/posts": self.rest(self.listed),
            "POST /wp-json/wp/v2/posts": self.rest(self.write),
            "DELETE /wp-json/wp/v2/posts/N": self.rest(lambda request: self.delete(request, self.posts)),
            "DELETE /wp-json/wp/v2/comments/N": self.rest(
                lambda request: self.delete(request, self.comments)
            ),
            "POST /wp-comments-post.php": self.comment,
            "GET /post": self.show,
        }

    def known(self, request: httpx.Request) -> bool:
        """Tell whether the request has a cookie of a session that is alive."""
        cookies = dict(part.split("=", 1) for part in request.headers.get("cookie", "").split("; ") if part)
        return cookies.get(SESSION, "") in self.sessions

    def nonce(self, request: httpx.Request) -> str:
        """Return what the editor asks for; WordPress answers 0 to a stranger."""
        return NONCE if self.known(request) else "0"

    def rest(
        self, act: Callable[[httpx.Request], httpx.Response]
    ) -> Callable[[httpx.Request], httpx.Response]:
        """Return `act` for those who have session and nonce."""

        def guarded(request: httpx.Request) -> httpx.Response:
            if not self.known(request) or request.headers.get("x-wp-nonce") != NONCE:
                return httpx.Response(401, json={"code": "rest_not_logged_in", "message": "You are nobody."})
            return act(request)

        return guarded

    def leave_or_look(self, request: httpx.Request) -> httpx.Response:
        """Show the form, or end the session."""
        if request.url.params.get("action") != "logout":
            return httpx.Response(
                200, text=LOGIN_PAGE, headers={"set-cookie": "wordpress_test_cookie=1; path=/"}
            )
        assert request.url.params["_wpnonce"] == "ab"
        if self.forgets_sessions:
            self.sessions.clear()
        gone = f"{SESSION}=+; expires=Thu, 01 Jan 2026 00:00:00 GMT; path=/"
        return httpx.Response(302, headers={"location": "/wp-login.php?loggedout=true", "set-cookie": gone})

    def enter(self, request: httpx.Request) -> httpx.Response:
        """Let the account in; everybody else sees the form again."""
        sent = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        assert set(sent) == {"log", "pwd", "redirect_to", "testcookie"}
        assert "wordpress_test_cookie" in request.headers["cookie"]
        if (sent["log"], sent["pwd"]) != (LOGIN, PASSWORD):
            return httpx.Response(200, text="<body><div id=login_error>The password is wrong.</div></body>")
        self.sessions.add(f"journey|{len(self.asked)}")
        cookie = f"{SESSION}={max(self.sessions)}; path=/; secure; HttpOnly"
        return httpx.Response(302, headers={"location": sent["redirect_to"], "set-cookie": cookie})

    def administration(self, request: httpx.Request) -> httpx.Response:
        """Show the administration to whoever has a session."""
        if self.known(request):
            return httpx.Response(200, text="dashboard")
        return httpx.Response(302, headers={"location": f"https://{DOMAIN}/wp-login.php?reauth=1"})

    def listed(self, request: httpx.Request) -> httpx.Response:
        """List the private posts of the account."""
        assert request.url.params["author"] == "3"
        assert request.url.params["status"] == "private"
        return httpx.Response(200, json=[{"id": number} for number in self.posts])

    def write(self, request: httpx.Request) -> httpx.Response:
        """Keep a post."""
        sent = json.loads(request.content)
        number = 8 + len(self.posts)
        self.posts[number] = sent
        link = f"https://{DOMAIN}/{sent['slug']}/"
        return httpx.Response(201, json={"id": number, "link": link, "status": sent["status"]})

    def delete(self, request: httpx.Request, kept: dict[int, Any]) -> httpx.Response:
        """Delete for good."""
        assert request.url.params["force"] == "true"
        del kept[int(request.url.path.rsplit("/", 1)[1])]
        return httpx.Response(200, json={"deleted": True})

    def show(self, request: httpx.Request) -> httpx.Response:
        """Show the post with its comment to its author."""
        found = [
            (number, post)
            for number, post in self.posts.items()
            if f"/{post.get('slug')}/" == request.url.path
        ]
        if not found or not self.known(request):
            return httpx.Response(404, text="nothing here")
        number, post = found[0]
        (last, words) = next(iter(self.comments.items()), (0, ""))
        text = PAGE.format(**post | {"post": number, "number": last, "comment": words})
        return httpx.Response(200, text=text)

    def comment(self, request: httpx.Request) -> httpx.Response:
        """Keep a comment and lead to it."""
        sent = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        assert set(sent) == {"comment", "comment_post_ID", "comment_parent"}
        post = self.posts[int(sent["comment_post_ID"])]
        self.comments[51] = sent["comment"]
        query = "?unapproved=51&moderation-hash=c" if self.moderated else ""
        return httpx.Response(
            302, headers={"location": f"https://{DOMAIN}/{post['slug']}/{query}#comment-51"}
        )


class Time:
    """A clock that moves when somebody pauses, and by `step` seconds at each look."""

    def __init__(self, step: float = 0.0) -> None:
        """Begin at nought."""
        self.seconds, self.step, self.paused = 0.0, step, 0.0

    def now(self) -> float:
        """Return the time."""
        self.seconds += self.step
        return self.seconds

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.paused += seconds


def carried_out(site: Callable[[httpx.Request], httpx.Response], time: Time | None = None) -> journeys.Report:
    """Return the report of a run against `site`."""

    @contextmanager
    def enter() -> Iterator[Visit]:
        with browsers.Browser(TARGET, httpx.MockTransport(site)) as browser:
            yield Visit(browser, Account(LOGIN, PASSWORD))

    clock = time or Time()
    return journeys.journey(enter, journeys.Journey(STEPS, journeys.Clock(clock.now, clock.pause)))


def answer(status: int, text: str = "", **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """Return what answers every request so."""
    return lambda _: httpx.Response(status, text=text, headers=headers)
