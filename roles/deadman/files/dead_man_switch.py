# SPDX-License-Identifier: Apache-2.0
"""The dead man's switch: when to tell people that alerting is silent, when that it is back, and what to say.

The Watchdog is an alert that always fires. While it arrives, rules are evaluated and notifications leave.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

REPEAT_SECONDS = 4 * 3600.0  # as Alertmanager repeats a page
RETRY_SECONDS = 60.0


@dataclass(frozen=True)
class State:
    """Unix times: the last Watchdog (0: never); when people were told of a silence (0: they were not)."""

    seen: float = 0.0
    told: float = 0.0


def read_state(path: Path) -> State:
    """Return the state kept in `path`; a first start, or a file cut short, has none."""
    try:
        return State(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return State()


def write_state(path: Path, state: State) -> None:
    """Keep the state over a restart; the file is whole at every moment."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(state)), "utf-8")
    part.replace(path)


@dataclass(frozen=True)
class Switch:
    """Decides from times alone; `started` is when this program began to listen, all in seconds."""

    started: float
    silence: float

    def silent_since(self, state: State) -> float:
        """Return since when nothing came; what was missed while this program was away does not count."""
        return max(state.seen, self.started)

    def due(self, state: State, now: float) -> str:
        """Return what to tell people now: `silent`, `back`, or '' for nothing."""
        if now - self.silent_since(state) > self.silence:
            return "silent" if not state.told or now - state.told > REPEAT_SECONDS else ""
        return "back" if state.told and state.seen > state.told else ""

    def after(self, word: str, state: State, now: float) -> State:
        """Return the state once people were told `word`."""
        return replace(state, told=now if word == "silent" else 0.0)


def _utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "never"


def message(word: str, about: dict[str, str], state: State, now: float) -> EmailMessage:
    """Return the mail for `word`.

    Args:
        word: `silent` or `back`.
        about: environment, host (of the switch), watched (hosts), sender, recipients.
        state: what is known of the Watchdog.
        now: Unix time.
    """
    head, end, text = TEXTS[word]
    ago = f" ({(now - state.seen) / 60:.0f} min ago)" if state.seen else ""
    mail = EmailMessage()
    mail["Subject"] = f"[{head}] [{about['environment']}] alerting on {about['watched']} {end}"
    mail["From"], mail["To"] = about["sender"], about["recipients"]
    mail["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    mail["Message-ID"] = make_msgid(domain=about["sender"].partition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text.format(**about, seen=_utc(state.seen) + ago, told=_utc(state.told)))
    return mail


SILENT = """\
No alert can reach you: the Watchdog of {watched} does not arrive any more.
告警系统静默：{watched} 的 Watchdog 已中断，此时任何故障都不会有告警送达。

last seen   {seen}
impact      whatever breaks now is told to nobody; look at the site yourself until this is mended
seen by     the dead man's switch on {host}, which does not need Prometheus or Alertmanager

type this:
  perennial runbook run Watchdog --env {environment} --without-alert

It looks first and asks before each change; --dry-run only looks. To read the page:
  perennial runbook show Watchdog
"""

BACK = """\
The Watchdog of {watched} arrives again; alerts reach you as before.
{watched} 的 Watchdog 已恢复，告警可正常送达。

last seen   {seen}
you were told of the silence at {told}

What broke in between shows now: perennial status --env {environment}
"""


TEXTS = {"silent": ("PAGE", "is silent", SILENT), "back": ("RESOLVED", "is back", BACK)}


def metrics(state: State, now: float, *, relay_ok: bool) -> str:
    """Return the file for node_exporter; a Watchdog that never came has the time 0."""
    lines = [
        "# HELP perennial_watchdog_checked_timestamp_seconds When the switch last looked at the clock.",
        "# TYPE perennial_watchdog_checked_timestamp_seconds gauge",
        f"perennial_watchdog_checked_timestamp_seconds {now:.0f}",
        "# HELP perennial_watchdog_last_seen_timestamp_seconds When the last Watchdog arrived.",
        "# TYPE perennial_watchdog_last_seen_timestamp_seconds gauge",
        f"perennial_watchdog_last_seen_timestamp_seconds {state.seen:.0f}",
        "# HELP perennial_watchdog_relay_ok 1 when the mail relay let the switch in at the last attempt.",
        "# TYPE perennial_watchdog_relay_ok gauge",
        f"perennial_watchdog_relay_ok {int(relay_ok)}",
    ]
    return "\n".join(lines) + "\n"
