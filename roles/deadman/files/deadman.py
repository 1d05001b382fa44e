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
    from collections.abc import Callable
    from email.message import EmailMessage

TICK_SECONDS = 5.0
LOOK_SECONDS = 600.0
SMTP_TIMEOUT_SECONDS = 20.0
IMPLICIT_TLS_PORT = 465
LARGEST_BODY = 1 << 20
LOG_BYTES, LOG_FILES = 4 << 20, 4
CONFIDENTIAL = {"routing_key", "api_key", "token", "password"}

SAY = logging.getLogger("deadman")
WEBHOOKS = logging.getLogger("webhooks")


class Relay:
    """The mail relay, asked over verified TLS."""

    def __init__(self, config: dict[str, Any], password: str) -> None:
        self._config, self._password = config, password
        self.ok = True
        self._asked = 0.0

    def look(self, now: float) -> None:
        """Log in and out again from time to time: that nobody could be told must be known before."""
        if now - self._asked >= (LOOK_SECONDS if self.ok else RETRY_SECONDS):
            self._do(now, lambda client: client.noop())

    def take(self, mail: EmailMessage, now: float) -> bool:
        """Hand a mail over; tell whether the relay took it. A refusal is tried again in a minute."""
        if not self.ok and now - self._asked < RETRY_SECONDS:
            return False
        return self._do(now, lambda client: client.send_message(mail))

    def _do(self, now: float, act: Callable[[smtplib.SMTP], object]) -> bool:
        self._asked = now
        try:
            with _connected(self._config) as client:
                if self._config["username"]:
                    client.login(self._config["username"], self._password)
                act(client)
        except (OSError, smtplib.SMTPException) as error:
            SAY.error("the relay %s does not take mail: %s", self._config["host"], type(error).__name__)
            self.ok = False
        else:
            self.ok = True
        return self.ok


class Watch:
    """What is known of the Watchdog; shared by the listener's threads and the clock's loop."""

    def __init__(self, config: dict[str, Any], state_file: Path, metrics_file: Path, relay: Relay) -> None:
        self._about, self._files, self._relay = config["about"], (state_file, metrics_file), relay
        self._lock = threading.Lock()
        self._state = read_state(state_file)
        self._switch = Switch(time.time(), float(config["silence_seconds"]))

    def seen(self, evaluated: float) -> None:
        """Note a Watchdog; Alertmanager repeats one for minutes after its last evaluation."""
        with self._lock:
            self._keep(State(max(self._state.seen, min(evaluated, time.time())), self._state.told))

    def tick(self) -> None:
        """Look at the clock, tell people where that is due, write the metrics."""
        state, now = self._state, time.time()
        word = self._switch.due(state, now)
        if word and self._relay.take(message(word, self._about, state, now), now):
            SAY.warning("told people: %s", word)
            with self._lock:
                self._keep(self._switch.after(word, self._state, now))
        self._relay.look(now)
        part = self._files[1].with_suffix(".part")
        part.write_text(metrics(self._state, now, relay_ok=self._relay.ok), "utf-8")
        part.replace(self._files[1])

    def _keep(self, state: State) -> None:
        self._state = state
        write_state(self._files[0], state)


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


def watchdog_in(body: Any) -> float | None:
    """Return when the firing Watchdog of a webhook was evaluated; None where there is none."""
    try:
        return max(
            float(alert["annotations"]["evaluated"])
            for alert in body["alerts"]
            if (alert["status"], alert["labels"]["alertname"]) == ("firing", "Watchdog")
        )
    except (KeyError, TypeError, ValueError):
        return None


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
        evaluated = watchdog_in(body)
        if evaluated is None:
            return 400
        self.watch.seen(evaluated)
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
    credentials, state, logs = (
        Path(os.environ[name]) for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY")
    )
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    WEBHOOKS.addHandler(
        RotatingFileHandler(logs / "webhooks.jsonl", maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    )
    WEBHOOKS.propagate = False
    Handler.token = (credentials / "token").read_text("utf-8").strip()
    password = (credentials / "relay").read_text("utf-8").strip()
    relay = Relay(config["relay"], password)
    Handler.watch = Watch(config, state / "state.json", state / "metrics.prom", relay)
    listener = Listener(
        (config["address"], config["port"]), Handler, Path(config["certificate"]), Path(config["key"])
    )
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    while True:  # an error here ends the program, and systemd starts it anew
        Handler.watch.tick()
        time.sleep(TICK_SECONDS)


if __name__ == "__main__":
    main()
