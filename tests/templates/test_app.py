# SPDX-License-Identifier: Apache-2.0
"""What nginx and PHP-FPM of the role app let through to WordPress, and what they never send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.templates.app_stand import DOMAIN, MARK, Request, ask
from tests.templates.rendering import render, variables_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.templates.debian13 import Tools

# what a visitor asks → status, and what the answer must hold
REQUESTS: dict[str, tuple[int, str]] = {
    "/": (200, "/usr/share/wordpress/index.php"),
    "/2026/11/some-article/": (200, "/usr/share/wordpress/index.php"),
    "/wp-login.php": (200, "/usr/share/wordpress/wp-login.php"),
    "/wp-admin/": (200, "/usr/share/wordpress/wp-admin/index.php"),
    "/wp-admin/post.php?post=1": (200, "/usr/share/wordpress/wp-admin/post.php"),
    "/wp-admin/missing.php": (404, ""),
    "/wp-admin/install.php": (404, ""),
    "/wp-admin/upgrade.php": (404, ""),
    "/wp-cron.php": (404, ""),
    "/wp-config.php": (404, ""),
    "/wp-login.php/x": (404, ""),
    "/wp-includes/version.php": (404, ""),
    "/wp-includes/js/a.js": (200, "a script"),
    "/wp-content/db.php": (404, ""),
    "/wp-content/themes/perennial/style.css": (200, "body {}"),
    "/wp-content/themes/perennial/functions.php": (404, ""),
    "/wp-content/themes/perennial/functions.php/x.css": (404, ""),
    "/wp-content/plugins/x/x.php": (404, ""),
    "/wp-content/uploads/2026/picture.jpg": (200, "a picture"),
    "/wp-content/uploads/2026/shell.php": (404, ""),
    "/wp-content/uploads/2026/shell.php.jpg": (404, ""),
    "/wp-content/uploads/2026/shell.PHP5": (404, ""),
    "/wp-content/uploads/2026/shell.php/picture.jpg": (404, ""),
    "/wp-content/uploads/2026/picture.jpg/x.php": (404, ""),
    "/wp-content/uploads/2026/page.html": (404, ""),
    "/wp-content/uploads/../../../etc/perennial/tls/host.key": (400, ""),
    "/wp-content/uploads/2026/link.jpg": (403, ""),
    "/.git/config": (404, ""),
    "/perennial/health": (200, "/usr/share/perennial/endpoints/health.php"),
    "/perennial/other": (404, ""),
}
FORGED = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Host": "evil.example",
    "Proxy": "http://evil.example",
}


def test_each_address_gets_what_it_should(debian13_tools: Tools, tmp_path: Path) -> None:
    """Traps: PHP under wp-content sent as source text, PHP run in uploads, set-up scripts open to all."""
    answers = ask(debian13_tools, tmp_path, *(Request(path) for path in REQUESTS))
    for (path, (status, holds)), answer in zip(REQUESTS.items(), answers, strict=True):
        assert answer.status == status, f"{path}: {answer}"
        assert holds in answer.body, f"{path}: {answer}"
        assert MARK not in answer.body, f"{path} gives PHP source away"


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/wp-content/uploads/2026/shell.php", (r"php\\d\*\|", "")),
        ("/wp-content/themes/perennial/functions.php", (r"plugins\)(.*)\.\(css\|", r"plugins)\1.(php|css|")),
        ("/wp-content/plugins/x/x.php", (r"plugins\)(.*)\.\(css\|", r"plugins)\1.(php|css|")),
    ],
)
def test_a_weaker_rule_is_seen(
    debian13_tools: Tools, tmp_path: Path, path: str, rule: tuple[str, str]
) -> None:
    """Positive control: with the rule broken the same request gives source text away."""
    (answer,) = ask(debian13_tools, tmp_path, Request(path), break_it=rule)
    assert MARK in answer.body, answer


def test_only_an_edge_says_who_and_how_a_visitor_came(debian13_tools: Tools, tmp_path: Path) -> None:
    """Debian's wp-config.php believes X-Forwarded-Proto, so a stranger's must not reach PHP."""
    request = Request("/", headers=FORGED)
    edge = ask(debian13_tools, tmp_path / "edge", request)[0].told()
    stranger = ask(debian13_tools, tmp_path / "stranger", request, edges=("192.0.2.1",))[0].told()
    assert (edge["https"], edge["proto"], edge["address"]) == ("on", "https", "203.0.113.7")
    assert (stranger["https"], stranger["proto"], stranger["address"]) == ("", "http", "127.0.0.1")
    assert edge["forwarded_host"] == stranger["forwarded_host"] == ""
    assert edge["proxy"] == stranger["proxy"] == ""


def test_a_name_that_is_not_ours_is_not_answered(debian13_tools: Tools, tmp_path: Path) -> None:
    """And the site's name reaches PHP from the configuration, never from the request."""
    fqdn = variables_of("app-1")["perennial"]["host"]["fqdn"]
    asked = [Request("/", "evil.example"), Request("/perennial/health", fqdn), Request("/", DOMAIN.upper())]
    evil, health, upper = ask(debian13_tools, tmp_path, *asked)
    assert evil.status == 421
    assert (health.status, health.told()["config"]) == (200, f"/etc/wordpress/config-{DOMAIN}.php")
    assert upper.told()["host"] == DOMAIN


def test_a_picture_carries_the_keys_that_its_removal_bans(debian13_tools: Tools, tmp_path: Path) -> None:
    """A file without keys could not be taken down from the edges before its time is over."""
    (picture,) = ask(debian13_tools, tmp_path, Request("/wp-content/uploads/2026/picture.jpg"))
    assert picture.headers["X-Keys"] == "s-community uploads"
    assert picture.headers["X-Content-Type-Options"] == "nosniff"


def test_php_runs_with_the_settings_of_the_host_size(debian13_tools: Tools, tmp_path: Path) -> None:
    """Effective values inside a worker, not the text of a file."""
    told = ask(debian13_tools, tmp_path, Request("/"))[0].told()
    sizing = variables_of("app-1")["perennial"]["sizing"]
    assert told["off"] == ["", "", False]
    assert told["net"] == "30"
    assert told["opcache"] == str(sizing["opcache_mib"])
    assert f"pm.max_children = {sizing['php_workers']}\n" in render(
        "app", "php-fpm.conf.j2", variables_of("app-1")
    )
