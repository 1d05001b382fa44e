# SPDX-License-Identifier: Apache-2.0
"""What every host gets: accepted by the daemons that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.spec import load
from tests.templates.rendering import render, variables_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.templates.debian13 import Tools

HOSTS = list(load("lab").hosts)


def test_every_name_of_the_platform_resolves_on_every_host() -> None:
    """Hosts have no name server."""
    platform = load("lab")
    for host in HOSTS:
        text = render("base", "hosts.j2", variables_of(host))
        names = {name for line in text.splitlines() for name in line.split()[1:]}
        assert {other.fqdn for other in platform.hosts.values()} <= names
        assert {f"db.{platform.environment.internal_domain}", "community.lab.test"} <= names


def test_a_mail_relay_outside_resolves_to_the_address_that_the_firewall_opens() -> None:
    """Another address of the same name would be dropped, without a word to who mails."""
    known = variables_of("mon-1")
    relay = known["perennial"]["environment"]["smtp_relay"]
    assert not [line for line in render("base", "hosts.j2", known).splitlines() if "relay" in line]
    relay |= {"host": "relay.example.org", "address": "192.0.2.25"}
    assert "192.0.2.25 relay.example.org" in render("base", "hosts.j2", known).splitlines()


def test_the_ssh_server_accepts_its_configuration(debian13_tools: Tools, tmp_path: Path) -> None:
    """A rejected one keeps everybody out at the next restart."""
    variables = variables_of("app-1")
    (tmp_path / "good").write_text(render("base", "sshd.conf.j2", variables))
    (tmp_path / "bad").write_text("Ciphers none-such\n")
    command = (
        "mkdir -p /run/sshd; ssh-keygen -q -A; for f in good bad; do sshd -t -f /test/$f && echo $f; done"
    )
    result = debian13_tools.run(["sh", "-c", command], mounts={tmp_path: "/test"})
    assert result.stdout.split() == ["good"], result


@pytest.mark.parametrize(("user", "root"), [("ops", "no"), ("root", "prohibit-password"), ("admin", "no")])
def test_the_way_in_that_the_fleet_names_stays_open(user: str, root: str) -> None:
    """A host that somebody already has may be reached by another account; a converge must not lock it out."""
    variables = variables_of("app-1")
    variables["perennial"]["host"]["ssh_user"] = user
    text = render("base", "sshd.conf.j2", variables)
    assert f"PermitRootLogin {root}\n" in text
    allowed = next(line for line in text.splitlines() if line.startswith("AllowUsers")).split()[1:]
    assert allowed == list(dict.fromkeys(["ops", user]))


def test_who_looks_at_ports_without_logging_in_is_not_shut_out() -> None:
    """OpenSSH 10 punishes such sources; probes of the operators and control hosts are such sources."""
    text = render("base", "sshd.conf.j2", variables_of("app-1"))
    exempt = next(line for line in text.splitlines() if line.startswith("PerSourcePenaltyExemptList"))
    assert {"10.87.0.1", "10.87.0.51"} <= set(exempt.split()[1].split(","))


@pytest.mark.parametrize("host", HOSTS)
def test_logs_go_to_every_store_but_not_to_oneself(host: str) -> None:
    """A store that forwards to itself turns one message into an endless loop."""
    text = render("base", "rsyslog.conf.j2", variables_of(host))
    for store in load("lab").with_role("logs"):
        assert (f'target="{store.fqdn}"' in text) == (store.name != host)
        assert (f'streamDriverPermittedPeers="{store.fqdn}"' in text) == (store.name != host)


def test_rsyslog_accepts_its_configuration(debian13_tools: Tools, tmp_path: Path) -> None:
    """A rejected one loses every message from then on."""
    (tmp_path / "good").write_text(render("base", "rsyslog.conf.j2", variables_of("app-1")))
    (tmp_path / "bad").write_text('action(type="no-such-output")\n')
    check = "for f in good bad; do rsyslogd -N1 -f /test/$f 2>/dev/null && echo $f; done"
    command = f"mkdir -p /var/spool/rsyslog; {check}"
    result = debian13_tools.run(["sh", "-c", command], mounts={tmp_path: "/test"})
    assert result.stdout.split() == ["good"], result


def test_security_updates_install_themselves_and_nothing_reboots() -> None:
    """Everything else is the rolling engine's, one host at a time."""
    text = render("base", "apt/unattended-upgrades.j2", variables_of("db-1"))
    origins = text.split("#clear Unattended-Upgrade::Origins-Pattern;")[1].split("};")[0]
    assert origins.count("origin=") == 1
    assert "-security,label=Debian-Security" in origins
    assert 'Automatic-Reboot "false"' in text
    assert '"mariadb-"' in text
