# SPDX-License-Identifier: Apache-2.0
"""The page that is measured: a post of a known size, made for the run and removed again; and looks at it."""

from __future__ import annotations

import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from infra.fleet.remote import SshRunner, must
from loadtests.bench.figures import BenchError
from loadtests.bench.load import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet

PAGE_BYTES = 72_000
PAGE_SHARE = 0.03  # how far a page may lie from that size
WORDS = (
    "a neighbour asked how the bridge over the river stays open in winter and three people answered with care"
)
TITLE = "Bench"


@dataclass(frozen=True)
class Look:
    """One answer, as a client sees it."""

    status: int
    cache: str
    body: bytes
    tls: str
    cipher: str
    protocol: str


def context(authority: str) -> ssl.SSLContext:
    """Return a TLS 1.3 context that trusts the PEM certificate `authority` and nothing else."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    found.load_verify_locations(cadata=authority)
    return found


def look(endpoint: Endpoint, trust: ssl.SSLContext) -> Look:
    """Ask for the page once, identity encoding, certificate and name verified."""
    headers = {"Host": endpoint.domain, "Accept-Encoding": "identity"}
    url = f"https://{endpoint.address}{endpoint.path}"
    with (
        httpx.Client(verify=trust, timeout=30) as client,
        client.stream("GET", url, headers=headers, extensions={"sni_hostname": endpoint.domain}) as answer,
    ):
        session: ssl.SSLObject = answer.extensions["network_stream"].get_extra_info("ssl_object")
        body = answer.read()
        cipher = (session.cipher() or ("none", "", 0))[0]
        cache = answer.headers.get("X-Cache", "none")
        return Look(answer.status_code, cache, body, session.version() or "none", cipher, answer.http_version)


def look_until(endpoint: Endpoint, trust: ssl.SSLContext, cache: str, seconds: float = 20) -> Look:
    """Ask until the answer is a 200 that the cache marks as `cache`; raise BenchError after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = look(endpoint, trust)
        if found.status == 200 and found.cache == cache:
            return found
        if time.monotonic() > end:
            said = f"{found.status}, X-Cache: {found.cache}"
            raise BenchError(f"{endpoint.url} at {endpoint.address} answers {said}; wanted 200, {cache}")
        time.sleep(0.2)


def text_of(size: int) -> str:
    """Return post content of about `size` bytes: plain paragraphs that no filter changes."""
    paragraph = f"<p>{WORDS}.</p>\n"
    return paragraph * max(1, round(size / len(paragraph)))


@dataclass(frozen=True)
class Post:
    """A post of the platform: its id and its address below the site."""

    id: str
    path: str


class Editor:
    """Writes posts by wpctl on the first application host."""

    def __init__(self, fleet: Fleet) -> None:
        """Remember where; nothing is done yet."""
        self._runner = SshRunner(fleet, dry_run=False)
        self._host = fleet.platform.with_role("app", enabled_only=True)[0].name
        self._site, site = next(iter(fleet.platform.sites.items()))
        self.domain = site.domain

    def wpctl(self, *arguments: str, stdin: str = "") -> str:
        """Run wpctl for the site; return what it printed."""
        command = ["wpctl", f"--site={self._site}", *arguments]
        result = self._runner.run(self._host, command, stdin=stdin, timeout=60)
        return must(result, f"wpctl {' '.join(arguments[:2])}").stdout.strip()

    @contextmanager
    def post(self, content: str, title: str = TITLE) -> Iterator[Post]:
        """Publish `content` for the block and delete it for ever at its end."""
        create = ("post", "create", "-", f"--post_title={title}", "--post_status=publish", "--porcelain")
        number = self.wpctl(*create, stdin=content)
        try:
            yield Post(number, self.path(number))
        finally:
            self.wpctl("post", "delete", number, "--force")

    def path(self, number: str) -> str:
        """Return the path of a published post."""
        url = httpx.URL(self.wpctl("post", "get", number, "--field=url"))
        return url.raw_path.decode()

    @contextmanager
    def page(self, endpoint: Endpoint, trust: ssl.SSLContext) -> Iterator[tuple[Post, str]]:
        """Publish a post whose whole page is about PAGE_BYTES for the block; give it and its content.

        `endpoint` says where to look, its path is not used.
        """
        # Under a title of its own: for a moment an edge may still have the page of a path that was deleted.
        with self.post(text_of(1), f"{TITLE} size") as small:
            around = len(self._seen(endpoint, trust, small).body) - len(text_of(1))
        content = text_of(PAGE_BYTES - around)
        with self.post(content) as post:
            size = len(self._seen(endpoint, trust, post).body)
            if abs(size - PAGE_BYTES) > PAGE_SHARE * PAGE_BYTES:
                raise BenchError(f"the page has {size} bytes instead of about {PAGE_BYTES}")
            yield post, content

    def _seen(self, endpoint: Endpoint, trust: ssl.SSLContext, post: Post) -> Look:
        return look_until(Endpoint(endpoint.address, endpoint.domain, post.path), trust, "hit")
