# SPDX-License-Identifier: Apache-2.0
"""What reached people in the lab: mails in the sink, webhooks in the log; and alerts as rules make them."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from infra.fleet.silence import Silences
from infra.runbook.rules import RULES, documents
from tests.lab_session import remote

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.inventory import Fleet

MAILS = """
import email, email.policy, json, pathlib, sys
found = []
for path in pathlib.Path("/var/lib/private/perennial-mail-sink/Maildir/new").iterdir():
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = mail.get_body(("plain",)).get_content()
    found.append({"time": path.stat().st_mtime, "to": mail["To"], "subject": mail["Subject"], "text": body})
print(json.dumps(found))
"""
Found = TypeVar("Found")
WEBHOOKS = "/var/log/perennial-deadman/webhooks.jsonl"


@dataclass(frozen=True)
class Mail:
    """One mail as a person reads it; `time` is when the sink took it, by the host's clock."""

    time: float
    to: str
    subject: str
    text: str


class Inbox:
    """The mails and webhooks that came since `start`."""

    def __init__(self, fleet: Fleet) -> None:
        """Remember the hosts that keep them, and now."""
        found = {role: fleet.platform.with_role(role)[0].name for role in ("mailsink", "deadman")}
        self._sink, self._log = (remote(fleet, found[role]) for role in ("mailsink", "deadman"))
        self.start = time.time()

    def mails(self, word: str) -> list[Mail]:
        """Return the mails since the start whose subject contains `word`, the oldest first."""
        listed = json.loads(self._sink.check_output(f"python3 -c {shlex.quote(MAILS)}"))
        mails = [Mail(**one) for one in listed if one["time"] >= self.start and word in one["subject"]]
        return sorted(mails, key=lambda mail: mail.time)

    def wait_for_rest(self, alerts: list[str], seconds: float) -> None:
        """Wait until none of `alerts` was told for `seconds`; begin anew from then.

        Alertmanager takes an alert that comes again before its group's next turn for one that it has told.
        """
        self.start = 0.0
        last = max((mail.time for alert in alerts for mail in self.mails(alert)), default=0.0)
        time.sleep(max(0.0, last + seconds - time.time()))
        self.start = time.time()

    def webhooks(self, path: str, word: str) -> list[dict[str, Any]]:
        """Return the bodies posted to `path` since the start that contain `word`."""
        lines = self._log.check_output(f"cat {WEBHOOKS}").splitlines()
        rows = [json.loads(line) for line in lines]
        return [
            row["body"]
            for row in rows
            if row["time"] >= self.start and row["path"] == path and word in json.dumps(row["body"])
        ]


def labels_of(alert: str, environment: str, **more: str) -> dict[str, str]:
    """Return the labels of a rule's alert as Alertmanager gets them."""
    (first, *_) = (
        rule
        for _, document in documents(RULES, "*.rules.yml")
        for group in document["groups"]
        for rule in group["rules"]
        if rule.get("alert") == alert
    )
    return {"alertname": alert, "environment": environment, **first["labels"], **more}


class Alerts:
    """Alertmanager, to which alerts are handed that no rule fired."""

    def __init__(self, fleet: Fleet) -> None:
        """Find it; there is one in every lab."""
        found = Silences.of(fleet)
        assert found is not None
        self.api = found

    def post(self, labels: dict[str, str], summary: str, *, seconds: float) -> None:
        """Hand one alert over that ends by itself after `seconds`; 0 ends it now."""
        now = datetime.now(UTC)
        notes = {"summary": summary, "description": "made by a test", "summary_zh": "测试"}
        alert = {
            "labels": labels,
            "annotations": notes,
            "endsAt": (now + timedelta(seconds=seconds)).isoformat(),
        }
        self.api.client.post(f"{self.api.base}/alerts", json=[alert]).raise_for_status()

    def fingerprint(self, labels: dict[str, str]) -> str:
        """Return by what Alertmanager knows the alert."""
        alerts = self.api.client.get(f"{self.api.base}/alerts").raise_for_status().json()
        (found,) = [one["fingerprint"] for one in alerts if one["labels"] == labels]
        return str(found)


def awaited(look: Callable[[], list[Found]], seconds: float, what: str) -> list[Found]:
    """Return what `look` finds first; fail when it finds nothing for `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{what} did not come within {seconds:g} s"
        time.sleep(2)
    return found
