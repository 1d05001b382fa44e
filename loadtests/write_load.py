# SPDX-License-Identifier: Apache-2.0
"""The load that switchovers and failovers are judged under: rows by the listener, comments by the site."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.fleet.target import visited
from loadtests import writes
from loadtests.bench.pages import Editor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet

INSERTS_PER_SECOND = 50.0
COMMENTS_PER_SECOND = 2.0
WARM_SECONDS = 2.0
COMMENTERS = 20
USER, PASSWORD_NAME = "wordpress-admin", "write load"


@dataclass(frozen=True)
class Inserting:
    """Inserts that go on, and what reads them back."""

    writer: writes.Writer
    account: writes.Account
    port: int

    def audit(self) -> writes.Audit:
        """Compare the ledger with the table of the present writer."""
        return writes.audit(self.writer.ledger, writes.stored(self.account, self.port))


@dataclass(frozen=True)
class Commenting:
    """Comments that go on, and what reads them back."""

    writer: writes.Writer
    commenter: writes.Commenter

    def audit(self, through: Inserting) -> writes.Audit:
        """Compare the ledger with the post's comments, read as `through` reads."""
        stored = self.commenter.stored(through.account, through.port)
        return writes.audit(self.writer.ledger, stored)


@contextmanager
def inserting(fleet: Fleet, rate: float = INSERTS_PER_SECOND) -> Iterator[Inserting]:
    """Insert `rate` rows a second for the block, each over a TLS connection of its own."""
    account = writes.account(fleet)
    with writes.forwarded(fleet) as port, writes.table(account, port):
        writer = writes.Writer(writes.insert(account, port), rate)
        with writer:
            time.sleep(WARM_SECONDS)
            yield Inserting(writer, account, port)


@contextmanager
def commenting(fleet: Fleet, rate: float = COMMENTS_PER_SECOND) -> Iterator[Commenting]:
    """Write `rate` comments a second for the block, as somebody logged in."""
    editor = Editor(fleet)
    with (
        visited(fleet, next(iter(fleet.platform.sites))) as site,
        _password(editor) as password,
        editor.post("text", "Commented") as post,
    ):
        commenter = writes.Commenter(fleet, site, USER, password, int(post.id))
        writer = writes.Writer(commenter.write, rate, workers=COMMENTERS)
        with writer:
            yield Commenting(writer, commenter)


@contextmanager
def _password(editor: Editor) -> Iterator[str]:
    group = ("user", "application-password")
    password = editor.wpctl(*group, "create", USER, PASSWORD_NAME, "--porcelain")
    try:
        yield password
    finally:
        for one in json.loads(editor.wpctl(*group, "list", USER, "--format=json")):
            if one["name"] == PASSWORD_NAME:
                editor.wpctl(*group, "delete", USER, one["uuid"])
