# SPDX-License-Identifier: Apache-2.0
"""Every host as it behaves: who gets in, what it logs where, what time and name it has."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host as RemoteHost

    from infra.spec import Host, Platform

pytestmark = pytest.mark.role("base")

FETCH = (
    "python3 -c 'import ssl, sys, urllib.request as r; "
    'context = ssl.create_default_context(cafile="/etc/perennial/tls/ca.crt"); '
    "print(r.urlopen(sys.argv[1], context=context, timeout=10).read().decode())' "
)


def test_no_unit_has_failed(host: RemoteHost) -> None:
    """A failed unit after a converge means that a role says more than it does."""
    assert host.check_output("systemctl list-units --state=failed --plain --no-legend") == ""


@pytest.mark.parametrize(
    "line",
    [
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "permitrootlogin no",
        "authenticationmethods publickey",
        "allowusers ops",
        "x11forwarding no",
        "gssapiauthentication no",
    ],
)
def test_only_keys_open_ssh(host: RemoteHost, line: str) -> None:
    """The effective value counts: sshd keeps the first one it reads, from whichever file that is."""
    assert line in host.check_output("sshd -T").splitlines()


def test_ssh_offers_current_algorithms_only(host: RemoteHost) -> None:
    """An old one is what an attacker asks for."""
    text = host.check_output("sshd -T")
    offered = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    assert not [one for name in ("kexalgorithms", "ciphers", "macs") for one in offered[name].split(",")
                if "sha1" in one or "cbc" in one or "nistp" in one or one.startswith("diffie")]  # fmt: skip


def test_operators_and_control_hosts_are_not_penalised(host: RemoteHost, platform: Platform) -> None:
    """Their probes connect without logging in; a penalty would lock the fleet out."""
    line = next(
        one for one in host.check_output("sshd -T").splitlines() if one.startswith("persourcepenaltyexempt")
    )
    expected = {str(one) for one in platform.environment.network.operators}
    expected |= {control.address for control in platform.with_role("control")}
    assert expected <= set(line.split()[1].split(","))


def test_nobody_but_the_described_keys_gets_in(host: RemoteHost, platform: Platform) -> None:
    """Two keys of the platform and those of its people; a forgotten third one is a way in."""
    keys = host.file("/home/ops/.ssh/authorized_keys").content_string
    lines = [line for line in keys.splitlines() if line and not line.startswith("#")]
    assert len(lines) == 2 + sum(len(person.ssh_keys) for person in platform.people.values())
    assert host.check_output("find /root/.ssh -name authorized_keys -size +0 2>/dev/null | wc -l") == "0"


def test_every_name_leads_to_its_address(host: RemoteHost, platform: Platform) -> None:
    """There is no name server to fall back on."""
    for other in platform.hosts.values():
        assert host.check_output(f"getent ahostsv4 {other.fqdn}").split()[0] == other.address
    listener = f"db.{platform.environment.internal_domain}"
    assert host.check_output(f"getent ahostsv4 {listener}").split()[0] == str(
        platform.environment.vip.address
    )


def test_the_host_knows_its_name_and_keeps_utc(host: RemoteHost, spec_host: Host) -> None:
    """Log lines of all hosts are compared with one another."""
    assert host.check_output("hostname") == spec_host.name
    assert host.check_output("date +%Z") == "UTC"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("net/ipv4/tcp_syncookies", "1"),
        ("net/ipv4/ip_forward", "0"),
        ("net/ipv4/ip_nonlocal_bind", "1"),
        ("net/ipv4/conf/all/accept_redirects", "0"),
        ("net/ipv4/conf/all/accept_source_route", "0"),
    ],
)
def test_the_kernel_has_the_settings(host: RemoteHost, setting: str, value: str) -> None:
    """What is written in a file and not loaded protects nothing."""
    assert host.check_output(f"cat /proc/sys/{setting}") == value


def test_the_journal_is_kept_on_disk(host: RemoteHost) -> None:
    """After a crash the last lines before it are the ones that matter."""
    assert "SystemMaxUse=" in host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert host.check_output("journalctl --header | grep --count 'File path: /var/log/journal'") != "0"


def test_security_updates_alone_install_themselves(host: RemoteHost) -> None:
    """The effective list counts: apt merges lists of all files."""
    text = host.check_output("apt-config dump Unattended-Upgrade::Origins-Pattern")
    patterns = [line for line in text.splitlines() if ":: " in line]
    assert len(patterns) == 1
    assert "label=Debian-Security" in patterns[0]
    assert '"false"' in host.check_output("apt-config dump Unattended-Upgrade::Automatic-Reboot")


def test_metrics_come_over_tls_on_the_hosts_own_address(host: RemoteHost, spec_host: Host) -> None:
    """On any other address they would be open to networks that no firewall rule names."""
    text = host.check_output(FETCH + f"https://{spec_host.fqdn}:9100/metrics")
    assert "perennial_release_info{" in text
    assert "node_textfile_scrape_error 0" in text
    assert host.check_output("ss -Hltn sport = :9100").split()[3] == f"{spec_host.address}:9100"
    assert host.run(
        f"python3 -c 'import urllib.request as r; r.urlopen(\"http://{spec_host.fqdn}:9100/metrics\")'"
    ).failed


def test_the_release_is_on_the_host(host: RemoteHost) -> None:
    """The first question in an incident is what runs here."""
    release = host.file("/etc/perennial/release").content_string.strip()
    assert release
    assert f'release="{release}"' in host.file("/var/lib/perennial/metrics/release.prom").content_string


def test_what_is_logged_leaves_the_host(host: RemoteHost, spec_host: Host) -> None:
    """The queue is empty again shortly after a message, so the store has taken it."""
    if "logs" in spec_host.roles:
        assert "omfwd" not in host.file("/etc/rsyslog.conf").content_string
        return
    host.check_output(f"logger --tag perennial-test {secrets.token_hex(8)}")
    deadline = time.monotonic() + 20
    while host.check_output("ss -Htn state established dport = :6514") == "":
        assert time.monotonic() < deadline, host.check_output("journalctl --unit rsyslog --lines 20")
        time.sleep(0.5)
