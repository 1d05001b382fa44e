# SPDX-License-Identifier: Apache-2.0
"""Application hosts as they answer: what is served and never sent, whom PHP trusts, who owns the code."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host as RemoteHost

    from infra.spec import Host, Platform

pytestmark = pytest.mark.role("app")

# run on the host: prints status and start of the body, over TLS verified for the host's own name
FETCH = """
import http.client, json, ssl, sys
fqdn, port, path, name = sys.argv[1:]
context = ssl.create_default_context(cafile="/etc/perennial/tls/ca.crt")
link = http.client.HTTPSConnection(fqdn, int(port), context=context, timeout=30)
link.putrequest("GET", path, skip_host=True)
link.putheader("Host", name)
link.endheaders()
answer = link.getresponse()
print(json.dumps([answer.status, answer.read().decode("utf-8", "replace")[:20000]]))
"""
CONNECT = """
require $argv[1];
require "/usr/share/perennial/endpoints/tls.php";
list($host, $port) = explode(":", DB_HOST);
$kept = "kept" === $argv[4];
$link = perennial_connect($argv[3] ?: $host, (int) $port, DB_USER, DB_PASSWORD, $argv[2], DB_NAME, 0, $kept);
echo $link ? "connected" : "refused";
"""
# two requests of one PHP-FPM worker, the connection ended by the server before a third
KEPT = """
require $argv[1];
require "/usr/share/perennial/endpoints/tls.php";
list($host, $port) = explode(":", DB_HOST);
$open = fn() => perennial_connect(
    $host, (int) $port, DB_USER, DB_PASSWORD, "/etc/perennial/tls/ca.crt", DB_NAME, 0, true
);
$say = fn($link) => $link->query("SELECT CONNECTION_ID(), @left, @@in_transaction, @@time_zone")->fetch_row();
$link = $open();
$before = $say($link)[0];
$link->query("SET @left=1, time_zone='+05:00'");
$link->query("SET autocommit=0");
$link->query("START TRANSACTION");
$link->close();
$link = $open();
list($again, $left, $transaction, $zone) = $say($link);
$link->query("KILL CONNECTION_ID()");
$link->close();
echo json_encode([$before === $again, $left, $transaction, $zone, $again === $say($open())[0]]);
"""
# the session of a page, and the server's modes without those that WordPress takes away itself
SESSION = """
$_SERVER["HTTP_HOST"] = $argv[1];
require "/usr/share/perennial/endpoints/tls.php";
require $argv[2];
require PERENNIAL_CORE . "wp-load.php";
$wanted = explode(",", $wpdb->get_var("SELECT @@GLOBAL.sql_mode"));
$property = new ReflectionProperty("wpdb", "incompatible_modes");
$row = $wpdb->get_row("SELECT @@sql_mode, @@character_set_client, @@collation_connection", ARRAY_N);
$same = array_values(array_diff($wanted, $property->getValue($wpdb))) === explode(",", $row[0]);
echo json_encode([$same, $row[1], $row[2] === $wpdb->collate, mysqli_character_set_name($wpdb->dbh)]);
"""


def fetch(host: RemoteHost, spec_host: Host, port: int, path: str, name: str = "") -> tuple[int, str]:
    """Return status and body of `path`, asked from the host itself."""
    words = [spec_host.fqdn, str(port), path, name or spec_host.fqdn]
    text = host.check_output("python3 -c " + " ".join(shlex.quote(word) for word in (FETCH, *words)))
    status, body = json.loads(text)
    return status, body


def php(host: RemoteHost, code: str, *words: str) -> str:
    """Return what PHP prints, run as the account of the web requests; it may keep connections as they do."""
    quoted = " ".join(shlex.quote(word) for word in (code, "--", *words))
    return str(host.check_output(f"runuser -u www-data -- php -d mysqli.allow_persistent=On -r {quoted}"))


@pytest.fixture(name="site")
def fixture_site(platform: Platform) -> Any:
    """Return the first site of the platform."""
    return next(iter(platform.sites.values()))


def test_the_health_page_asks_php_and_the_database(
    host: RemoteHost, spec_host: Host, platform: Platform, site: Any
) -> None:
    """The edges send visitors where this says ok, under the host's name and under the site's."""
    port = platform.services["app"].port
    for name in ("", site.domain):
        assert fetch(host, spec_host, port, "/perennial/health", name) == (200, "ok\n")


@pytest.mark.parametrize(
    "path",
    [
        "/wp-content/db.php",
        "/wp-content/themes/perennial/functions.php",
        "/wp-content/plugins/",
        "/wp-config.php",
        "/wp-cron.php",
        "/xmlrpc.php",
        "/wp-admin/install.php",
        "/wp-admin/upgrade.php",
        "/wp-includes/version.php",
        "/.htaccess",
    ],
)
def test_source_text_and_set_up_are_not_served(
    host: RemoteHost, spec_host: Host, platform: Platform, site: Any, path: str
) -> None:
    """Debian's own example sends PHP under wp-content as text."""
    status, body = fetch(host, spec_host, platform.services["app"].port, path, site.domain)
    assert status == 404
    assert "<?php" not in body


def test_php_among_uploads_is_neither_run_nor_sent(
    host: RemoteHost, spec_host: Host, platform: Platform, site: Any
) -> None:
    """The classic way in: an uploaded script. A text beside it is served: the path itself is right."""
    folder = f"/srv/uploads/{site.id}/test-{spec_host.name}"
    script, text = f"echo '<?php echo 6*7;' > {folder}/x.php", f"echo hello > {folder}/x.txt"
    make = f"install -d -o www-data {folder} && {script} && {text}"
    host.check_output(f"sh -c {shlex.quote(make)}")
    try:
        base = f"/wp-content/uploads/test-{spec_host.name}"
        port = platform.services["app"].port
        assert fetch(host, spec_host, port, f"{base}/x.txt", site.domain) == (200, "hello\n")
        status, body = fetch(host, spec_host, port, f"{base}/x.php", site.domain)
        assert (status, "42" in body, "6*7" in body) == (404, False, False)
    finally:
        host.check_output(f"rm -r {folder}")


def test_a_name_that_is_not_ours_is_refused(host: RemoteHost, spec_host: Host, platform: Platform) -> None:
    """A poisoned Host must not reach WordPress."""
    assert fetch(host, spec_host, platform.services["app"].port, "/", "not-ours.example")[0] == 421


def test_only_the_described_ports_listen_to_the_network(host: RemoteHost, platform: Platform) -> None:
    """The site of nginx listens on 80 until the role has been there."""
    lines = host.check_output("ss -Hltn").splitlines()
    sockets = {line.split()[3] for line in lines}
    outside = {int(each.rsplit(":", 1)[1]) for each in sockets if not each.startswith(("127.", "[::1]"))}
    described = {service.port for service in platform.services.values() if service.role in {"app", "base"}}
    assert outside <= described, f"nobody described {sorted(outside - described)}"


def test_code_belongs_to_root_and_only_uploads_to_the_web_server(host: RemoteHost, site: Any) -> None:
    """A hole in PHP must not be able to install code."""
    code = "/usr/share/perennial /usr/share/wordpress /etc/wordpress"
    found = host.check_output(f"find {code} ! -type l \\( ! -user root -o -perm /022 \\) -print")
    assert found == ""
    assert host.file(f"/srv/uploads/{site.id}").user == "www-data"
    configuration = host.file(f"/etc/wordpress/config-{site.domain}.php")
    assert (configuration.mode, configuration.user, configuration.group) == (0o640, "root", "www-data")


@pytest.mark.parametrize("how", ["new", "kept"])
def test_php_trusts_only_our_authority_and_the_listeners_name(
    host: RemoteHost, platform: Platform, site: Any, how: str
) -> None:
    """Wrong authority, wrong name: no connection, and no fall-back to clear text."""
    file = f"/etc/wordpress/config-{site.domain}.php"
    ours, public = "/etc/perennial/tls/ca.crt", "/etc/ssl/certs/ca-certificates.crt"
    assert php(host, CONNECT, file, ours, "", how) == "connected"
    assert php(host, CONNECT, file, public, "", how) == "refused"
    assert php(host, CONNECT, file, ours, str(platform.environment.vip.address), how) == "refused"


def test_a_kept_connection_brings_nothing_of_the_request_before(host: RemoteHost, site: Any) -> None:
    """It is the same one, with a new session; one that the server ended is replaced without a word."""
    said = json.loads(php(host, KEPT, f"/etc/wordpress/config-{site.domain}.php"))
    assert said == [True, None, "0", "SYSTEM", False]


def test_a_page_speaks_to_the_database_as_wordpress_would(host: RemoteHost, site: Any) -> None:
    """Character set, collation and SQL modes come in one statement instead of five; they are the same."""
    said = json.loads(php(host, SESSION, site.domain, f"/etc/wordpress/config-{site.domain}.php"))
    assert said == [True, "utf8mb4", True, "utf8mb4"]


def test_php_runs_with_the_described_settings(host: RemoteHost, spec_host: Host) -> None:
    """As PHP-FPM reads them, all files of its configuration together."""
    text = host.check_output("php-fpm8.4 -i")
    settings = dict(line.split(" => ")[:2] for line in text.splitlines() if " => " in line)
    assert settings["expose_php"] == "Off"
    assert settings["allow_url_fopen"] == "Off"
    assert int(settings["Read timeout"]) <= 30
    assert "proc_open" in settings["disable_functions"]
    assert int(settings["opcache.memory_consumption"]) < spec_host.size.memory_mib / 4


def test_the_site_runs_from_the_packages_code_and_needs_no_upgrade(host: RemoteHost, site: Any) -> None:
    """After a package update the schema can be behind: then the site is down until somebody acts."""
    assert host.run(f"wpctl --site={site.id} core is-installed").rc == 0
    stats = host.check_output(f"wpctl --site={site.id} perennial stats --format=prometheus")
    assert f'perennial_wp_db_version_match{{site="{site.id}"}} 1' in stats


def test_metrics_are_read_over_tls(host: RemoteHost, spec_host: Host, platform: Platform) -> None:
    """PHP-FPM's status has a listener of its own and answers while all workers are busy."""
    port = platform.services["web-metrics"].port
    assert "nginx_up 1" in fetch(host, spec_host, port, "/metrics")[1]
    assert "phpfpm_up 1" in fetch(host, spec_host, port, "/php")[1]
