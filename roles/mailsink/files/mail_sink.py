#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A mail relay that keeps what it is given: STARTTLS and a login are required, nothing is sent on.

Mails stand in a Maildir, one file a mail; beyond the newest ones that are kept they are removed.
"""

from __future__ import annotations

import argparse
import hmac
import logging
import os
import ssl
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import AuthResult, LoginPassword

LARGEST_MAIL = 1 << 20
CARE_SECONDS = 30.0


class Login:
    """Lets in the one account that the description names."""

    def __init__(self, username: str, password: str) -> None:
        self._expected = (username.encode(), password.encode())

    def __call__(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any
    ) -> AuthResult:
        """Judge a name and a password."""
        right = isinstance(given, LoginPassword) and all(
            hmac.compare_digest(*pair) for pair in zip(given, self._expected, strict=True)
        )
        return AuthResult(success=right, handled=right)


def prune(folder: Path, keep: int) -> None:
    """Remove all but the `keep` newest mails."""
    mails = sorted((folder / "new").iterdir(), key=lambda mail: mail.stat().st_mtime)
    for mail in mails[: max(0, len(mails) - keep)]:
        mail.unlink()


def context_of(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS context with this host's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--address", required=True, help="address to listen on")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--username", required=True)
    parser.add_argument("--keep", type=int, default=500, help="mails that are kept")
    return parser.parse_args()


def main() -> None:
    """Serve until stopped."""
    given = arguments()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # it deplores its own login data at each mail
    folder = Path(os.environ["STATE_DIRECTORY"]) / "Maildir"
    password = (Path(os.environ["CREDENTIALS_DIRECTORY"]) / "password").read_text("utf-8").strip()
    context = context_of(given.certificate, given.key)
    controller = Controller(
        Mailbox(str(folder)),
        hostname=given.address,
        port=given.port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=Login(given.username, password),
        auth_exclude_mechanism=["LOGIN"],  # aiosmtpd's challenges for it are not those that Go programs know
        data_size_limit=LARGEST_MAIL,
        ident="mail sink",
    )
    controller.start()
    while True:
        prune(folder, given.keep)
        with suppress(OSError, ssl.SSLError):  # between two writes of a renewal the old pair stays good
            context.load_cert_chain(given.certificate, given.key)
        time.sleep(CARE_SECONDS)


if __name__ == "__main__":
    main()
