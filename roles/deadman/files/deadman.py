#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Takes Alertmanager's webhooks away from the monitoring host.

POST /watchdog   with the token: the Watchdog, which the dead man's switch waits for
POST /<name>     any other receiver: one JSON line in the log, its keys left out
GET  /health     200
"""

from __future__ import annotations

import argparse
import hmac
import json
import logging
import os
import smtplib
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dead_man_switch import (
    RETRY_SECONDS,
    State,
    Switch,
    message,
    metrics,
    read_state,
    write_state,
)
from https_listener import Listener

if TYPE_CHECKING:
    from email.message import EmailMessage

TICK_SECONDS = 5.0
SMTP_TIMEOUT_SECONDS = 20.0
IMPLICIT_TLS_PORT = 465
LARGEST_BODY = 1 << 20
LOG_BYTES, LOG_FILES = 4 << 20, 4
CONFIDENTIAL = {"routing_key", "api_key", "token", "password"}

SAY = logging.getLogger("deadman")
WEBHOOKS = logging.getLogger("webhooks")


class Watch:
    """What is known of the Watchdog; shared by the listener's threads and the clock's loop."""

    def __init__(self, config: dict[str, Any], state_file: Path, metrics_file: Path, password: str) -> None:
        self._config, self._files, self._password = config, (state_file, metrics_file), password
        self._lock = threading.Lock()
        self._state = read_state(state_file)
        self._switch = Switch(time.time(), float(config["silence_seconds"]))
        self._mail_ok: bool | None = None
        self._tried = 0.0

    def seen(self) -> None:
        """Note that a Watchdog arrived."""
        with self._lock:
            self._keep(State(time.time(), self._state.told))

    def tick(self) -> None:
        """Look at the clock; tell people where that is due. A relay that refuses is asked again in a minute."""
        with self._lock:
            state, now = self._state, time.time()
        word = self._switch.due(state, now)
        if word and now - self._tried >= RETRY_SECONDS:
            self._tried = now
            self._mail_ok = self._send(message(word, self._config["about"], state, now))
            if self._mail_ok:
                SAY.warning("told people: %s", word)
                self._tried = 0.0
                with self._lock:
                    self._keep(self._switch.after(word, self._state, now))
        part = self._files[1].with_suffix(".part")
        part.write_text(metrics(self._state, now, self._mail_ok), "utf-8")
        part.chmod(0o644)
        part.replace(self._files[1])

    def _keep(self, state: State) -> None:
        self._state = state
        write_state(self._files[0], state)

    def _send(self, mail: EmailMessage) -> bool:
        """Hand a mail to the relay over verified TLS; tell whether it took it."""
        relay = self._config["relay"]
        try:
            with _connected(relay) as client:
                if relay["username"]:
                    client.login(relay["username"], self._password)
                client.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:
            SAY.error("the relay %s does not take mail: %s", relay["host"], type(error).__name__)
            return False
        return True


def _connected(relay: dict[str, Any]) -> smtplib.SMTP:
    """Return a connection that is encrypted and whose certificate carries the relay's name."""
    context = ssl.create_default_context(cafile=relay["ca_file"] or None)
    if relay["port"] == IMPLICIT_TLS_PORT:
        return smtplib.SMTP_SSL(relay["host"], relay["port"], timeout=SMTP_TIMEOUT_SECONDS, context=context)
    client = smtplib.SMTP(relay["host"], relay["port"], timeout=SMTP_TIMEOUT_SECONDS)
    client.starttls(context=context)
    return client


def without_keys(value: Any) -> Any:
    """Return a payload without the keys by which paging services know their customers."""
    if isinstance(value, dict):
        return {k: "(left out)" if k in CONFIDENTIAL else without_keys(v) for k, v in value.items()}
    return [without_keys(one) for one in value] if isinstance(value, list) else value


class Handler(BaseHTTPRequestHandler):
    """One webhook a request."""

    server_version = "deadman"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30
    watch: ClassVar[Watch]
    token: ClassVar[str]

    def do_GET(self) -> None:
        """Answer a probe."""
        self._answer(200 if self.path == "/health" else 404)

    def do_POST(self) -> None:
        """Take a webhook: 200; 401 without the token, 400 for what is no JSON object, 413 for too much."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            self.close_connection = True
            self._answer(413)
            return
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            self._answer(400)
            return
        self._answer(self._watchdog(body) if self.path == "/watchdog" else self._log(body))

    def _watchdog(self, body: Any) -> int:
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            return 401
        alerts = body.get("alerts", []) if isinstance(body, dict) else []
        firing = [one for one in alerts if one.get("status") == "firing"]
        if not any(one.get("labels", {}).get("alertname") == "Watchdog" for one in firing):
            return 400
        self.watch.seen()
        return 200

    def _log(self, body: Any) -> int:
        line = {"time": round(time.time(), 3), "path": self.path, "body": without_keys(body)}
        WEBHOOKS.info("%s", json.dumps(line, ensure_ascii=False))
        return 200

    def _answer(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing: a Watchdog every minute would fill the journal."""


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="/etc/perennial/deadman.json")
    return parser.parse_args()


def main() -> None:
    """Listen and watch until stopped."""
    config = json.loads(arguments().config.read_text("utf-8"))
    credentials, state, run, logs = (
        Path(os.environ[name].split(":")[0])
        for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "LOGS_DIRECTORY")
    )
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    WEBHOOKS.addHandler(
        RotatingFileHandler(logs / "webhooks.jsonl", maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    )
    WEBHOOKS.propagate = False
    Handler.token = (credentials / "token").read_text("utf-8").strip()
    password = (credentials / "relay").read_text("utf-8").strip()
    Handler.watch = Watch(config, state / "state.json", run / "metrics.prom", password)
    listener = Listener(
        (config["address"], config["port"]), Handler, Path(config["certificate"]), Path(config["key"])
    )
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    while True:  # an error here ends the program, and systemd starts it anew
        Handler.watch.tick()
        time.sleep(TICK_SECONDS)


if __name__ == "__main__":
    main()
