# SPDX-License-Identifier: Apache-2.0
"""Every act on the fleet is written down: here, on the control host and in the log store (sec.audit)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from infra.fleet.audit_delivery import TAG
from infra.fleet.remote import SshRunner, must
from infra.make.provision import RECAP

if TYPE_CHECKING:
    from infra.inventory import Fleet
    from tests.lab.conftest import WatchedRun

pytestmark = pytest.mark.lab
LOG_STORE = "/var/log/perennial"
ARRIVAL_SECONDS = 20


def by_event(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the lines of one act by their event; raise AssertionError where there are others."""
    assert [line["event"] for line in lines] == ["START", "END"], lines
    assert lines[0]["id"] == lines[1]["id"]
    return {line["event"]: line for line in lines}


@pytest.mark.timeout(900)
def test_a_run_is_in_the_journal_with_the_hosts_that_it_changed(
    fleet: Fleet, watched_run: WatchedRun
) -> None:
    """One file was deleted on one host; a refused run beside it changed nothing and is no act."""
    lines = by_event(watched_run.lines)
    assert lines["END"]["changed"] == [watched_run.host]
    assert lines["END"]["outcome"] == "done"
    for line in lines.values():
        assert line["environment"] == fleet.platform.name
        assert line["command"] == "make up"
        assert line["hosts"] == sorted(fleet.platform.hosts)
        assert line["person"]
        assert line["reason"]
        assert len(line["commit"].removesuffix("-dirty")) == 40
    assert lines["END"]["seconds"] > 1


def arrived(fleet: Fleet, host: str, command: list[str], act: str) -> list[dict[str, Any]]:
    """Return the audit lines of an act on a host, asked until both are there or the time is over."""
    runner, end = SshRunner(fleet), time.monotonic() + ARRIVAL_SECONDS
    while True:
        text = must(runner.run(host, command, safe=True), "reading").stdout
        found = [_audit_line(line) for line in text.splitlines() if act in line]
        if len(found) >= 2 or time.monotonic() > end:
            return found
        time.sleep(0.5)


def _audit_line(text: str) -> dict[str, Any]:
    """Return the audit line in a line of a log: as it is, or in the field `message` of the store's JSON."""
    line = json.loads(text)
    message = next((value for value in line.values() if isinstance(value, str) and '"audit/1"' in value), "")
    found: dict[str, Any] = json.loads(message[message.index("{") :]) if message else line
    return found


@pytest.mark.timeout(900)
def test_the_control_host_has_the_lines(fleet: Fleet, watched_run: WatchedRun) -> None:
    """Whoever acts from a laptop leaves a trace that the laptop's owner cannot take back."""
    control = fleet.platform.with_role("control")[0].name
    read = ["journalctl", "--output=cat", f"--identifier={TAG}", "--since=-30min"]
    assert arrived(fleet, control, read, watched_run.lines[0]["id"]) == watched_run.lines


@pytest.mark.timeout(900)
def test_the_log_store_has_the_lines(fleet: Fleet, watched_run: WatchedRun) -> None:
    """It keeps them at least 200 days, on another host than the one that acts."""
    control, store = (fleet.platform.with_role(role)[0].name for role in ("control", "logs"))
    act = watched_run.lines[0]["id"]
    read = ["sh", "-c", f"grep -rhF {act} {LOG_STORE}/{control}/ || [ $? -eq 1 ]"]
    assert arrived(fleet, store, read, act) == watched_run.lines


@pytest.mark.timeout(900)
def test_as_many_hosts_are_written_down_as_were_changed(fleet: Fleet, watched_run: WatchedRun) -> None:
    """Ansible's own count and the journal's agree, host by host: none too many and none too few."""
    recap = [match for line in watched_run.log.splitlines() if (match := RECAP.match(line))]
    assert {match["host"] for match in recap} == set(fleet.platform.hosts)
    changed = sorted(match["host"] for match in recap if int(match["changed"]))
    assert watched_run.host in changed
    assert watched_run.lines[-1]["changed"] == changed
