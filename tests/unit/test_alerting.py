# SPDX-License-Identifier: Apache-2.0
"""What follows from an environment's receivers: open ways, names of secrets, and whom the switch mails."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from infra.spec import INVENTORIES, Platform, alerting, derive, load
from tests.unit.fleet_world import platform as without_receivers

if TYPE_CHECKING:
    from pathlib import Path

    from infra.spec.derive import Rule


def outside(tmp_path: Path) -> Platform:
    """Return the lab with a mail relay that is none of its hosts, and no sink."""
    copy = tmp_path / "inventories"
    shutil.copytree(INVENTORIES, copy)
    file = copy / "lab.yml"
    text = file.read_text("utf-8").replace(
        "address: 10.87.0.51, port: 2587", "address: 192.0.2.25, port: 465"
    )
    text = text.replace("host: ctl-1.lab.internal", "host: relay.example.org")
    file.write_text(text.replace("[control, deadman, mailsink]", "[control, deadman]"), "utf-8")
    return load("lab", copy)


def to_relay(platform: Platform, host: str) -> list[Rule]:
    """Return the firewall's openings of a host towards the mail relay."""
    return [rule for rule in derive.outbound(platform, platform.hosts[host]) if rule.service == "mail-relay"]


def test_who_mails_reaches_the_relay_and_nobody_else_does(tmp_path: Path) -> None:
    """A compromised application host must not send mail in the platform's name."""
    platform = outside(tmp_path)
    for host in ("mon-1", "ctl-1"):
        assert to_relay(platform, host) == [derive.Rule("mail-relay", "tcp", 465, ("192.0.2.25",))]
    for host in ("app-1", "db-1", "edge-1"):
        assert not to_relay(platform, host)


def test_without_a_relay_no_way_is_open_and_nobody_is_told(tmp_path: Path) -> None:
    """An environment may begin without; its switch and its receivers come later."""
    platform = without_receivers(tmp_path)
    assert not to_relay(platform, "mon-1")
    assert alerting.routes(platform) == []
    assert alerting.alertmanager_secrets(platform) == []
    assert alerting.switch_recipients(platform.environment, platform.teams) == []


def test_alertmanager_gets_the_secrets_that_its_receivers_name() -> None:
    """Fewer, and it reloads into errors; more, and it holds keys that it does not need."""
    assert alerting.alertmanager_secrets(load("lab")) == ["deadman", "paging-key", "smtp-relay"]


def test_the_switch_mails_the_fallback_team() -> None:
    """It has no alert whose label could name another."""
    platform = load("lab")
    assert alerting.switch_recipients(platform.environment, platform.teams) == ["platform@lab.test"]
