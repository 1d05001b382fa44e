# SPDX-License-Identifier: Apache-2.0
"""The steps of the journey, each with a name and a time limit; a step that fails says what it met."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from infra.journey.browser import SHOWN, Browser, StepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.journey.markup import Markup

SESSION = "wordpress_logged_in_"
MOST_LEFT = 20  # posts of runs that were killed; each run removes them, so that there is one at most
TITLE = "合成巡检 synthetic journey"
WORDS = "自动检查，随后删除。 Written by a check, removed again."


@dataclass(frozen=True)
class Account:
    """Who logs in; the password never shows in the repr."""

    login: str
    password: str = field(repr=False)


@dataclass
class Visit:
    """One attempt of the journey: the browser, and what earlier steps found for later ones."""

    browser: Browser
    account: Account
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    nonce: str = ""
    post: int = 0
    address: str = ""
    comment: int = 0
    shown: Markup | None = None

    def page(self) -> Markup:
        """Return the page that the last step looked at."""
        if self.shown is None:
            raise StepError("no page was read yet")
        return self.shown


@dataclass(frozen=True)
class Step:
    """One step: what it is called in metrics and reports, and how long it may take (seconds)."""

    name: str
    limit: float
    act: Callable[[Visit], None]


def log_in(visit: Visit) -> None:
    """Fill in the form of the log-in page; a cookie of the session is what shows that it worked."""
    form = visit.browser.page("/wp-login.php").form("loginform")
    if form is None:
        raise StepError("the log-in page has no form")
    who = visit.account
    answer = visit.browser.submit(form, httpx.codes.FOUND, log=who.login, pwd=who.password)
    if not visit.browser.cookies(SESSION):
        raise StepError(f"the log-in gave no session and led to {answer.headers.get('location', 'nothing')}")
    visit.nonce = visit.browser.ask("GET", "/wp-admin/admin-ajax.php?action=rest-nonce", httpx.codes.OK).text
    if not re.fullmatch(r"[0-9a-f]{10}", visit.nonce):
        raise StepError("the session has no nonce for the editor")


def clean_up(visit: Visit) -> None:
    """Remove what runs that were killed left: all posts of this account, with their comments."""
    own = number(visit.browser.call("GET", "users/me?_fields=id", httpx.codes.OK, visit.nonce))
    query = f"posts?author={own}&status=private&per_page={MOST_LEFT}&_fields=id"
    for one in visit.browser.call("GET", query, httpx.codes.OK, visit.nonce):
        _delete(visit, f"posts/{number(one)}")


def post(visit: Visit) -> None:
    """Write a post that only its author sees, in Chinese and English, as the editor does."""
    body = {
        "title": f"{TITLE} {visit.mark}", "content": f"<p>{WORDS} {visit.mark}</p>",
        "slug": f"journey-{visit.mark}", "status": "private", "comment_status": "open",
    }  # fmt: skip
    made = visit.browser.call("POST", "posts", httpx.codes.CREATED, visit.nonce, json=body)
    visit.post, visit.address = number(made), str(made.get("link"))
    if made.get("status") != "private":
        raise StepError(f"the post is {made.get('status')}, not private")


def read(visit: Visit) -> None:
    """Read the post back as its author: both languages, whole."""
    visit.shown = visit.browser.page(visit.address)
    for wanted in (f"{TITLE} {visit.mark}", f"{WORDS} {visit.mark}"):
        if wanted not in visit.shown.words:
            raise StepError(f"the page of the post lacks {wanted!r}")


def comment(visit: Visit) -> None:
    """Comment by the form below the post, and see the comment where the answer leads."""
    form = visit.page().form("commentform")
    if form is None:
        raise StepError("the page of the post has no form for comments")
    answer = visit.browser.submit(form, httpx.codes.FOUND, comment=f"{WORDS} {visit.mark} comment")
    led = answer.headers.get("location", "")
    found = re.search(r"#comment-([0-9]+)$", led)
    if found is None:
        raise StepError(f"the comment led to {led or 'nothing'}")
    visit.comment = int(found[1])
    visit.shown = visit.browser.page(led)
    if f"{visit.mark} comment" not in visit.shown.words_of(f"comment-{visit.comment}"):
        raise StepError("the comment is not on the page")
    if "unapproved=" in led:
        raise StepError("the comment waits for review though it is its author's own post")


def delete(visit: Visit) -> None:
    """Delete comment and post for good, and see that the post is gone."""
    _delete(visit, f"comments/{visit.comment}")
    _delete(visit, f"posts/{visit.post}")
    visit.browser.ask("GET", visit.address, httpx.codes.NOT_FOUND)


def log_out(visit: Visit) -> None:
    """Log out by the link of the page, and see that the old cookies open nothing any more."""
    link = visit.page().link("action=logout")
    if not link:
        raise StepError("the page has no link to log out")
    old = httpx.Cookies(visit.browser.client.cookies)
    visit.browser.ask("GET", link, httpx.codes.FOUND)
    if visit.browser.cookies(SESSION):
        raise StepError("the browser still has the session's cookie")
    visit.browser.client.cookies = old
    led = visit.browser.ask("GET", "/wp-admin/", httpx.codes.FOUND).headers.get("location", "")
    if "/wp-login.php" not in led:
        raise StepError("the session is not over: its cookies still open the administration")


def number(answered: Any) -> int:
    """Return the id in an answer of the REST interface; raise StepError where there is none."""
    try:
        return int(answered["id"])
    except (TypeError, KeyError, ValueError) as error:
        raise StepError(f"the answer has no id: {str(answered)[:SHOWN]}") from error


def _delete(visit: Visit, what: str) -> None:
    if not visit.browser.call("DELETE", f"{what}?force=true", httpx.codes.OK, visit.nonce).get("deleted"):
        raise StepError(f"{what} was not deleted")


# Limits are many times what a step takes (under a second): what is slow has alerts of its own, and a
# visitor who waits longer goes away.
STEPS = (
    Step("log in", 10, log_in),
    Step("clean up", 10, clean_up),
    Step("post", 10, post),
    Step("read", 5, read),
    Step("comment", 10, comment),
    Step("delete", 10, delete),
    Step("log out", 5, log_out),
)
