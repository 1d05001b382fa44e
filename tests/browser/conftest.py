# SPDX-License-Identifier: Apache-2.0
"""A headless browser that knows the site by its own name and trusts one verified key."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import sync_playwright

from infra.spec import CHECKOUT
from loadtests.probe import Target
from tests.lab_session import remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

    from infra.inventory import Fleet

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class Account:
    """Somebody who may log in."""

    login: str
    password: str


def _pin(target: Target) -> str:
    """Return the hash of a server's public key, once its chain and name were verified."""
    with (
        socket.create_connection((target.address, target.port), timeout=10) as raw,
        target.context().wrap_socket(raw, server_hostname=target.domain) as wrapped,
    ):
        certificate = x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"")
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


@pytest.fixture(scope="session")
def prometheus(fleet: Fleet, authority: Path) -> Target:
    """Return the metrics server of the platform."""
    host = fleet.platform.with_role("monitoring")[0]
    port = fleet.platform.services["prometheus"].port
    return Target(host.address, host.fqdn, authority, "/classic/targets", port)


@pytest.fixture(scope="session")
def browser(
    site: Target, prometheus: Target, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """Return a browser context that knows the platform's own names; all other names lead nowhere."""
    known = (site, prometheus)
    rules = ", ".join(f"MAP {target.domain} {target.address}" for target in known)
    pins = ",".join(_pin(target) for target in known)
    flags = [
        f"--host-resolver-rules={rules}, MAP * ~NOTFOUND",
        f"--ignore-certificate-errors-spki-list={pins}",
    ]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("browser"),
            executable_path="/usr/bin/chromium",
            args=[*FLAGS, *flags],
            viewport={"width": 1200, "height": 800},
            locale="zh-CN",
        )
        yield context
        context.close()


def picture(page: Page, name: str) -> None:
    """Keep a picture for the README where PERENNIAL_RECORD=1 asks for one."""
    if os.environ.get("PERENNIAL_RECORD"):
        page.screenshot(path=CHECKOUT / "tests" / "evidence" / f"{name}.png")


@pytest.fixture
def page(browser: BrowserContext, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    """Return a fresh page without cookies; its last picture lies in the test's temporary folder."""
    browser.clear_cookies()
    page = browser.new_page()
    yield page
    page.screenshot(path=tmp_path / f"{request.node.name}.png", full_page=True)
    page.close()


@pytest.fixture(scope="session")
def administrator(fleet: Fleet) -> Account:
    """Return the first administrator of the site."""
    site = next(iter(fleet.platform.sites.values()))
    return Account(site.definition.admin.login, fleet.secret("wordpress-admin")["value"])


@pytest.fixture(scope="session")
def author(fleet: Fleet) -> Iterator[Account]:
    """Return an account with the role author, made for the session and removed with its posts afterwards."""
    site = next(iter(fleet.platform.sites))
    app = remote(fleet, fleet.platform.with_role("app")[0].name)
    account = Account(
        "verify-author", hashlib.sha256(fleet.secret("wordpress-admin")["value"].encode()).hexdigest()[:24]
    )
    create = (
        f"wpctl --site={site} user create {account.login} author@example.org --role=author --prompt=user_pass"
    )
    result = app.run(f"printf %s {account.password} | {create}")
    assert result.rc == 0, result.stderr
    yield account
    removed = app.run(f"wpctl --site={site} user delete {account.login} --yes")
    assert removed.rc == 0, removed.stderr
