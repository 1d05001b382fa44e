# SPDX-License-Identifier: Apache-2.0
"""MariaDB's configuration, judged by Debian 13's own server, and what makes replication safe in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from infra.spec import load
from tests.templates.rendering import render, variables_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.templates.debian13 import Tools

DATABASES = [host.name for host in load("lab").with_role("database")]
CHECK = ["mariadbd", "--defaults-file=/test/file", "--user=mysql", "--help", "--verbose"]


def settings(host: str) -> dict[str, str]:
    """Return the settings of a host's server."""
    text = render("database", "mariadb.cnf.j2", variables_of(host))
    return dict(re.findall(r"^(\w+) = (.+)$", text, re.MULTILINE))


def judged(tools: Tools, folder: Path, text: str) -> tuple[int, str]:
    """Return exit code and output of the server over a configuration."""
    (folder / "file").write_text(text)
    result = tools.run(CHECK, mounts={folder: "/test"})
    return result.returncode, result.stdout + result.stderr


def test_the_server_knows_every_setting(debian13_tools: Tools, tmp_path: Path) -> None:
    """An unknown setting keeps the server from starting, at its next restart."""
    text = render("database", "mariadb.cnf.j2", variables_of(DATABASES[0]))
    code, output = judged(debian13_tools, tmp_path, text)
    assert code == 0, output[-2000:]
    for line in ("gtid-strict-mode TRUE", "rpl-semi-sync-master-timeout 1000", "read-only TRUE"):
        assert re.search(line.replace(" ", r"\s+"), output), line
    broken, _ = judged(debian13_tools, tmp_path, text + "no_such_setting = 1\n")
    assert broken != 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("read_only", "ON"),
        ("skip_name_resolve", "ON"),
        ("require_secure_transport", "ON"),
        ("sync_binlog", "1"),
        ("innodb_flush_log_at_trx_commit", "1"),
        ("gtid_strict_mode", "ON"),
        ("log_slave_updates", "ON"),
        ("rpl_semi_sync_master_wait_point", "AFTER_SYNC"),
        ("character_set_server", "utf8mb4"),
    ],
)
@pytest.mark.parametrize("host", DATABASES)
def test_what_no_server_may_be_without(host: str, name: str, value: str) -> None:
    """Each of these keeps an acknowledged write, or keeps a stranger out."""
    assert settings(host)[name] == value


def test_server_ids_differ_and_fit_their_type() -> None:
    """Two servers with one id ignore each other's transactions."""
    ids = [int(settings(host)["server_id"]) for host in DATABASES]
    assert len(set(ids)) == len(ids)
    assert all(0 < one < 2**32 for one in ids)


def test_servers_share_one_replication_domain() -> None:
    """With a domain each, the order of writes of two writers would be nobody's concern."""
    assert len({settings(host)["gtid_domain_id"] for host in DATABASES}) == 1


def test_the_server_listens_on_its_own_address_only() -> None:
    """0.0.0.0 would open it on a management network too."""
    for host in DATABASES:
        assert settings(host)["bind_address"] == load("lab").hosts[host].address


def test_a_server_without_its_volume_does_not_start() -> None:
    """An empty database behind a missing mount would be elected and written to."""
    variables: dict[str, Any] = variables_of(DATABASES[0])
    assert "AssertPathIsMountPoint=/var/lib/mysql" in render("database", "mariadb.service.j2", variables)
    variables["perennial"]["volumes"] = []
    assert "AssertPath" not in render("database", "mariadb.service.j2", variables)


def test_reloading_certificates_stays_out_of_the_binary_log() -> None:
    """FLUSH without LOCAL is logged; on a replica that is a transaction which its writer lacks."""
    text = render("database", "mariadb.service.j2", variables_of(DATABASES[0]))
    assert "FLUSH LOCAL SSL" in text
    assert "FLUSH SSL" not in text
