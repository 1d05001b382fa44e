# SPDX-License-Identifier: Apache-2.0
"""A browser as far as the journey needs one: cookies, forms, a pinned address, limited patience."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

from infra.journey.markup import Markup

if TYPE_CHECKING:
    from types import TracebackType

    from infra.fleet.target import Target
    from infra.journey.markup import Form

SHOWN = 200  # characters of an answer that a reason quotes
SHORTEST = 0.05  # seconds: a time limit of zero would mean none


class StepError(Exception):
    """A step of the journey failed; the message says what was met, and never holds what was sent."""


class Pinned(httpx.HTTPTransport):
    """Sends every request to one address, verified by the site's name; cookies and links keep the name."""

    def __init__(self, target: Target) -> None:
        """Trust the authority of `target` alone; a proxy of the environment is not asked."""
        super().__init__(verify=target.context())
        self.target = target

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` to the address whatever its host's name would resolve to."""
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=self.target.address, port=self.target.port),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions | {"sni_hostname": self.target.domain},
        )
        return super().handle_request(pinned)


class Browser:
    """One visitor of a site: keeps cookies, follows no redirect by itself, never leaves the site."""

    def __init__(self, target: Target, transport: httpx.BaseTransport | None = None) -> None:
        """Open nothing yet; `transport` stands in for the network."""
        self.site = httpx.URL(f"https://{target.domain}/")
        self.client = httpx.Client(
            transport=transport or Pinned(target), headers={"User-Agent": "perennial-journey"}
        )
        self.until = float("inf")

    def __enter__(self) -> Browser:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what connections are left."""
        self.client.close()

    def ask(self, method: str, path: str, wanted: int, **what: Any) -> httpx.Response:
        """Return the answer to a request for a path or an address of the site.

        Raises StepError where none comes in time, or where its status is not `wanted`.
        """
        url = self.site.join(path)
        if url.host != self.site.host or url.scheme != "https":
            raise StepError(f"the site leads to {url.scheme}://{url.host}")
        left = max(SHORTEST, self.until - time.monotonic())
        try:
            answer = self.client.request(method, url, timeout=left, **what)
        except httpx.TimeoutException as error:
            raise StepError(f"no answer to {method} {url.path} within its time") from error
        except httpx.RequestError as error:
            raise StepError(f"no answer to {method} {url.path}: {error}") from error
        if answer.status_code != wanted:
            raise StepError(f"{method} {url.path} was answered {answer.status_code}: {said(answer)}")
        return answer

    def page(self, path: str) -> Markup:
        """Return the page at a path or an address; raise StepError where there is none."""
        return Markup(self.ask("GET", path, httpx.codes.OK).text)

    def submit(self, form: Form, wanted: int, **typed: str) -> httpx.Response:
        """Return the answer to a form with its hidden fields and what was typed; raises as ask."""
        return self.ask("POST", form.action, wanted, data={**form.fields, **typed})

    def call(self, method: str, path: str, wanted: int, nonce: str, **what: Any) -> Any:
        """Return the JSON that the REST interface answers, asked as its own editor does; raises as ask."""
        answer = self.ask(method, f"/wp-json/wp/v2/{path}", wanted, headers={"X-WP-Nonce": nonce}, **what)
        try:
            return answer.json()
        except ValueError as error:
            raise StepError(f"{answer.request.url.path} answered no JSON: {said(answer)}") from error

    def cookies(self, prefix: str) -> dict[str, str]:
        """Return the cookies whose names begin with `prefix`."""
        return {cookie.name: cookie.value or "" for cookie in self.client.cookies.jar if
                cookie.name.startswith(prefix)}  # fmt: skip


def said(answer: httpx.Response) -> str:
    """Return the words of an answer, shortened: the message of a REST error, or what a page shows."""
    try:
        words = str(answer.json()["message"])
    except (ValueError, TypeError, KeyError):
        words = Markup(answer.text).words
    words = " ".join(words.split())
    return words[:SHOWN] or "(nothing)"
