# SPDX-License-Identifier: Apache-2.0
"""Database servers as they run: one writer, semi-synchronous replicas, TLS, no privilege too many."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.lab_session import remote

if TYPE_CHECKING:
    from testinfra.backend.base import CommandResult
    from testinfra.host import Host as RemoteHost

    from infra.inventory import Fleet
    from infra.spec import Host, Platform

pytestmark = pytest.mark.role("database")

FETCH = (
    "python3 -c 'import json, ssl, sys, time, http.client as h; "
    'c = ssl.create_default_context(cafile="/etc/perennial/tls/ca.crt"); '
    "t = time.monotonic(); l = h.HTTPSConnection(sys.argv[1], 9201, context=c, timeout=5); "
    'l.request("GET", sys.argv[2]); a = l.getresponse(); '
    "print(json.dumps([a.status, time.monotonic() - t]))' "
)


def query(host: RemoteHost, statement: str) -> list[list[str]]:
    """Return the rows of a statement that root on the host sends over the socket."""
    text = host.check_output(f'mariadb --batch --skip-column-names --execute "{statement}"')
    return [line.split("\t") for line in text.splitlines()]


def variable(host: RemoteHost, name: str) -> str:
    """Return a global variable."""
    return query(host, f"SELECT @@global.{name}")[0][0]


def asked(host: RemoteHost, fqdn: str, path: str) -> tuple[int, float]:
    """Return status and seconds of the role check's answer."""
    status, seconds = json.loads(host.check_output(FETCH + f"{fqdn} {path}"))
    return status, seconds


def test_exactly_one_server_writes_and_the_others_follow_it(fleet: Fleet, platform: Platform) -> None:
    """Two writers lose data, none stops the site."""
    hosts = {one.name: remote(fleet, one.name) for one in platform.with_role("database", enabled_only=True)}
    writers = [name for name, host in hosts.items() if variable(host, "read_only") == "0"]
    assert len(writers) == 1
    for name in hosts.keys() - set(writers):
        text = hosts[name].check_output("mariadb --execute 'SHOW REPLICA STATUS\\G'")
        status = dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line.strip())
        assert status["Master_Host"] == platform.hosts[writers[0]].fqdn
        assert (status["Slave_IO_Running"], status["Slave_SQL_Running"]) == ("Yes", "Yes")
        assert (status["Using_Gtid"], status["Master_SSL_Verify_Server_Cert"]) == ("Slave_Pos", "Yes")


def test_a_commit_waits_for_a_replica(host: RemoteHost, platform: Platform) -> None:
    """Semi-synchronous replication that fell back to asynchronous loses acknowledged writes at a failover."""
    side = "master" if variable(host, "read_only") == "0" else "slave"
    if len(platform.with_role("database", enabled_only=True)) > 1:
        rows = query(host, f"SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_{side}_status'")
        assert rows == [[f"Rpl_semi_sync_{side}_status", "ON"]]
    assert variable(host, "rpl_semi_sync_master_wait_point") == "AFTER_SYNC"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("require_secure_transport", "1"),
        ("skip_name_resolve", "1"),
        ("gtid_strict_mode", "1"),
        ("sync_binlog", "1"),
        ("innodb_flush_log_at_trx_commit", "1"),
        ("local_infile", "0"),
        ("tls_version", "TLSv1.2,TLSv1.3"),
        ("collation_server", "utf8mb4_unicode_ci"),
    ],
)
def test_the_running_server_has_the_settings(host: RemoteHost, name: str, value: str) -> None:
    """A file that the server has not read yet changes nothing."""
    assert variable(host, name) == value


def test_sizes_come_from_the_description(host: RemoteHost, spec_host: Host) -> None:
    """A guest sees the machine's memory; a buffer pool sized by it would take everything."""
    assert int(variable(host, "innodb_buffer_pool_size")) <= spec_host.size.memory_mib * 1024**2 // 2


def test_every_account_is_described_and_needs_tls_or_the_socket(host: RemoteHost, platform: Platform) -> None:
    """An account that nobody listed, or that takes a password in the clear, is a way in."""
    sites = {"wordpress_" + site.replace("-", "_") for site in platform.sites}
    local = {"root", "prometheus", "perennial-role", "perennial-semi-sync", "mariadb.sys"}
    for user, address, plugin, tls in query(host, "SELECT User, Host, plugin, ssl_type FROM mysql.user"):
        assert user in {*local, *sites, "db-admin", "replication"}, user
        if user in local:
            assert address == "localhost"
            assert plugin == "unix_socket" or user == "mariadb.sys"
        else:
            assert (plugin, tls) == ("mysql_native_password", "ANY"), user
            assert address in {one.address for one in platform.hosts.values()}


def test_a_site_reaches_its_own_schema_only(host: RemoteHost, platform: Platform) -> None:
    """One broken plugin must not read another site, or the server's files."""
    for site in platform.sites:
        schema = "wordpress_" + site.replace("-", "_")
        for edge in platform.with_role("edge"):
            grants = [row[0] for row in query(host, f"SHOW GRANTS FOR '{schema}'@'{edge.address}'")]
            assert len(grants) == 2
            assert grants[0].startswith("GRANT USAGE ON *.* TO")
            assert "GRANT OPTION" not in grants[1]
            assert schema in grants[1].split(" ON ")[1].split(" TO ")[0].replace("\\", "")


def test_neither_anonymous_nor_test(host: RemoteHost) -> None:
    """Both come with older packages."""
    assert query(host, "SELECT COUNT(*) FROM mysql.user WHERE User = ''") == [["0"]]
    assert query(host, "SHOW DATABASES LIKE 'test'") == []


# $1 authority, $2 host, $3 further option: a connection as the replication account; wrong.name leads to $2
# as well, in a mount namespace of its own, so that nothing on the host changes
CONNECT = """
set -eu
cp /etc/hosts /run/perennial-test-hosts
echo "$(getent ahostsv4 "$2" | head -1 | cut -d" " -f1) wrong.name" >> /run/perennial-test-hosts
mount --bind /run/perennial-test-hosts /etc/hosts
rm /run/perennial-test-hosts
export MYSQL_PWD="$(sed -n 6p /var/lib/mysql/master.info)"
set -- --ssl-verify-server-cert --ssl-ca="$1" --host="$2" $3
exec mariadb --no-defaults --user=replication "$@" --execute="SELECT 1"
"""


def connect(host: RemoteHost, authority: str, name: str, option: str = "") -> CommandResult:
    """Return the result of a connection over TCP as the replication account, from a replica."""
    words = " ".join(shlex.quote(word) for word in (CONNECT, "connect", authority, name, option))
    return host.run(f"unshare --mount sh -c {words}")


def test_wrong_names_wrong_authorities_and_no_tls_are_refused(host: RemoteHost) -> None:
    """The first connection shows that the others fail for their reason alone."""
    if variable(host, "read_only") == "0":
        return  # only a replica holds the replication password
    writer = query(host, "SHOW REPLICA STATUS")[0][1]
    ours, public = "/etc/perennial/tls/ca.crt", "/etc/ssl/certs/ca-certificates.crt"
    good = connect(host, ours, writer)
    assert good.succeeded, good.stderr
    assert "TLS/SSL error" in connect(host, public, writer).stderr
    assert "Hostname verification failed" in connect(host, ours, writer, "--host=wrong.name").stderr
    assert "insecure transport" in connect(host, ours, writer, "--skip-ssl").stderr


def test_the_role_check_tells_the_truth(host: RemoteHost, spec_host: Host) -> None:
    """The load balancer believes it."""
    writes = variable(host, "read_only") == "0"
    assert asked(host, spec_host.fqdn, "/writer")[0] == (200 if writes else 503)
    assert asked(host, spec_host.fqdn, "/replica")[0] == (503 if writes else 200)


def test_the_role_check_runs_apart_from_the_server(host: RemoteHost) -> None:
    """It speaks to the network; it must not be able to write or to become somebody else."""
    shown = host.check_output(
        "systemctl show perennial-role-check --property=User,NoNewPrivileges,ProtectSystem"
    )
    assert set(shown.splitlines()) == {"User=perennial-role", "NoNewPrivileges=yes", "ProtectSystem=strict"}


def test_metrics_of_the_server_come_over_tls(host: RemoteHost, spec_host: Host) -> None:
    """mysql_up is 1 only when the exporter's account on the socket works."""
    read = (
        "python3 -c 'import ssl, sys, urllib.request as r; "
        'c = ssl.create_default_context(cafile="/etc/perennial/tls/ca.crt"); '
        "print(r.urlopen(sys.argv[1], context=c, timeout=10).read().decode())' "
    )
    assert "\nmysql_up 1" in host.check_output(read + f"https://{spec_host.fqdn}:9104/metrics")


def test_new_certificates_are_taken_without_a_restart(host: RemoteHost) -> None:
    """`systemctl reload` leaves the process, every connection and the binary log as they are."""
    state = "SELECT @@global.gtid_binlog_state, @@global.pid_file"
    pid = host.check_output("systemctl show mariadb --property=MainPID")
    own = variable(host, "server_id")
    before = [one for one in query(host, state)[0][0].split(",") if f"-{own}-" in one]
    host.check_output("systemctl reload mariadb")
    after = [one for one in query(host, state)[0][0].split(",") if f"-{own}-" in one]
    assert host.check_output("systemctl show mariadb --property=MainPID") == pid
    if variable(host, "read_only") == "1":
        assert after == before
