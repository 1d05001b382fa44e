# SPDX-License-Identifier: Apache-2.0
"""The dead man's switch: when it tells people and what, over real TLS; the relay is made up."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.listener_world import NAME, certificate, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

switch = load("deadman", "dead_man_switch")
deadman = load("deadman", "deadman")

ABOUT = {"environment": "lab", "host": "ctl-1", "watched": "mon-1", "sender": "alerts@lab.test",
         "recipients": "platform@lab.test"}  # fmt: skip
START, LIMIT = 1_000_000.0, 300.0


@pytest.mark.parametrize(
    ("seen", "told", "now", "expected"),
    [
        (START + 60, 0.0, START + 360, ""),  # five minutes, not longer
        (START + 60, 0.0, START + 361, "silent"),
        (0.0, 0.0, START + 300, ""),  # never one: counted from the start
        (0.0, 0.0, START + 301, "silent"),
        (START - 9000, 0.0, START + 60, ""),  # what came while this was away is not held against anybody
        (START + 60, START + 361, START + 400, ""),  # people know
        (START + 60, START + 361, START + 361 + 4 * 3600 + 1, "silent"),  # and are told again
        (START + 500, START + 361, START + 505, "back"),
        (START + 500, 0.0, START + 505, ""),  # nobody was told, nothing to take back
        (START + 500, START + 361, START + 801, ""),  # silent anew before the end was told: still known
    ],
)
def test_people_are_told_once_of_a_silence_and_once_of_its_end(
    seen: float, told: float, now: float, expected: str
) -> None:
    """Too early wakes people for a restart; too late or never is what the switch is against."""
    assert switch.Switch(START, LIMIT).due(switch.State(seen, told), now) == expected


def test_the_mail_says_what_is_wrong_and_what_to_type() -> None:
    """It comes when nothing else does."""
    mail = switch.message("silent", ABOUT, switch.State(START, 0.0), START + 361)
    assert mail["Subject"] == "[PAGE] [lab] alerting on mon-1 is silent"
    assert mail["To"] == "platform@lab.test"
    text = mail.get_content()
    assert "  perennial runbook run Watchdog --env lab --without-alert\n" in text
    assert "1970-01-12 13:46:40 UTC (6 min ago)" in text
    assert "告警系统静默" in text
    over = switch.message("back", ABOUT, switch.State(START + 400, START + 361), START + 405)
    assert over["Subject"] == "[RESOLVED] [lab] alerting on mon-1 is back"
    assert "perennial runbook run" not in over.get_content()


def test_the_state_outlives_a_restart_and_a_damaged_file_is_a_first_start(tmp_path: Path) -> None:
    """A restart in the middle of a silence must neither tell people twice nor forget to tell the end."""
    path = tmp_path / "state.json"
    assert switch.read_state(path) == switch.State()
    switch.write_state(path, switch.State(1.0, 2.0))
    assert switch.read_state(path) == switch.State(1.0, 2.0)
    path.write_text('{"seen": 1.')
    assert switch.read_state(path) == switch.State()


class Relay:
    """A mail relay that can refuse."""

    def __init__(self) -> None:
        self.ok = True
        self.taken: list[Any] = []

    def look(self, _now: float) -> None:
        """Nothing to see."""

    def take(self, mail: Any, _now: float) -> bool:
        """Keep the mail, or refuse it."""
        if self.ok:
            self.taken.append(mail)
        return self.ok


@pytest.fixture(name="relay")
def fixture_relay() -> Relay:
    """Return the relay of the running switch."""
    return Relay()


@pytest.fixture(name="post")
def fixture_post(relay: Relay, tmp_path: Path) -> Iterator[Any]:
    """Return a function that posts to a running switch and returns the status; its watch is at `watch`."""
    config = {"about": ABOUT, "silence_seconds": LIMIT}
    watch = deadman.Watch(config, tmp_path / "state.json", tmp_path / "metrics.prom", relay)
    deadman.Handler.watch, deadman.Handler.token = watch, "the-token"
    files = certificate(tmp_path)
    listener = deadman.Listener(("127.0.0.1", 0), deadman.Handler, *files)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    trust = ssl.create_default_context(cafile=str(files[0]))

    def post(path: str, body: object, token: str = "the-token", length: int = 0) -> int:  # noqa: S107
        link = http.client.HTTPConnection("127.0.0.1", listener.server_address[1], timeout=5)
        link.connect()
        link.sock = trust.wrap_socket(link.sock, server_hostname=NAME)
        try:
            text = body if isinstance(body, str) else json.dumps(body)
            headers = {
                "Authorization": f"Bearer {token}",
                "Content-Length": str(length or len(text.encode())),
            }
            link.request("POST", path, text.encode(), headers)
            return link.getresponse().status
        finally:
            link.close()

    yield post
    listener.shutdown()
    listener.server_close()
    thread.join()


def watchdog(evaluated: object, status: str = "firing", name: str = "Watchdog") -> dict[str, Any]:
    """Return what Alertmanager sends."""
    alert = {"status": status, "labels": {"alertname": name}, "annotations": {"evaluated": evaluated}}
    return {"alerts": [alert]}


def test_a_watchdog_is_dated_by_its_evaluation(post: Any, tmp_path: Path) -> None:
    """Alertmanager repeats one for four minutes after Prometheus is dead."""
    now = time.time()
    assert post("/watchdog", watchdog(f"{now - 100:.0f}")) == 200
    assert switch.read_state(tmp_path / "state.json").seen == pytest.approx(now - 100, abs=1)
    assert post("/watchdog", watchdog(f"{now - 200:.0f}")) == 200, "an older one arrives late"
    assert switch.read_state(tmp_path / "state.json").seen == pytest.approx(now - 100, abs=1)
    assert post("/watchdog", watchdog(f"{now + 9000:.0f}")) == 200, "a clock that is ahead"
    assert switch.read_state(tmp_path / "state.json").seen <= time.time()


@pytest.mark.parametrize(
    ("body", "token", "status"),
    [
        (watchdog("1"), "another", 401),
        (watchdog("1", status="resolved"), "the-token", 400),
        (watchdog("1", name="SiteDown"), "the-token", 400),
        (watchdog("soon"), "the-token", 400),
        ({"alerts": []}, "the-token", 400),
        ([1], "the-token", 400),
        ("no JSON", "the-token", 400),
    ],
)
def test_nothing_else_keeps_the_switch_quiet(
    post: Any, tmp_path: Path, body: object, token: str, status: int
) -> None:
    """Whatever else arrives is no sign of life."""
    assert post("/watchdog", body, token) == status
    assert switch.read_state(tmp_path / "state.json").seen == 0.0


def test_a_silence_is_told_until_the_relay_takes_it(
    post: Any, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its end too; each once."""
    watch = deadman.Handler.watch
    now = time.time()
    clock = {"now": now}
    monkeypatch.setattr(deadman.time, "time", lambda: clock["now"])
    assert post("/watchdog", watchdog(f"{now:.0f}")) == 200
    clock["now"], relay.ok = now + LIMIT + 2, False
    watch.tick()
    assert "perennial_watchdog_relay_ok 0\n" in (tmp_path / "metrics.prom").read_text()
    relay.ok = True
    for _ in range(3):
        watch.tick()
    assert [mail["Subject"] for mail in relay.taken] == ["[PAGE] [lab] alerting on mon-1 is silent"]
    clock["now"] += 10
    assert post("/watchdog", watchdog(f"{clock['now']:.0f}")) == 200
    for _ in range(3):
        watch.tick()
    assert [mail["Subject"][:10] for mail in relay.taken] == ["[PAGE] [la", "[RESOLVED]"]
    assert f"last_seen_timestamp_seconds {clock['now']:.0f}\n" in (tmp_path / "metrics.prom").read_text()


def test_webhooks_are_logged_without_keys(post: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A log that anybody may read must not hold what lets somebody raise alarms in our name."""
    with caplog.at_level("INFO", "webhooks"):
        assert post("/phone", {"routing_key": "k3y", "payload": [{"api_key": "k3y", "summary": "s"}]}) == 200
    (line,) = [record.getMessage() for record in caplog.records if record.name == "webhooks"]
    assert "k3y" not in line
    assert json.loads(line)["path"] == "/phone"
    assert json.loads(line)["body"]["payload"][0]["summary"] == "s"


def test_too_much_is_refused(post: Any) -> None:
    """A log that grows by a gigabyte a request would fill the control host."""
    assert post("/phone", {}, length=(1 << 20) + 1) == 413
