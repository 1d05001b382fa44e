# SPDX-License-Identifier: Apache-2.0
"""A stand for the role app: its nginx and PHP-FPM, both real, over a made-up WordPress that echoes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.templates.rendering import render, variables_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.templates.debian13 import Tools

DOMAIN = "community.lab.test"
CONTENT = "/usr/share/perennial/sites/community/wp-content"
MARK = "PHP-SOURCE-MARK"
ECHO = f"""<?php /* {MARK} */
$asked = fn(string $name) => $_SERVER[$name] ?? '';
header('Content-Type: application/json');
echo json_encode([
    'script' => $asked('SCRIPT_FILENAME'), 'host' => $asked('HTTP_HOST'),
    'config' => $asked('PERENNIAL_CONFIG'), 'https' => $asked('HTTPS'),
    'address' => $asked('REMOTE_ADDR'), 'proto' => $asked('HTTP_X_FORWARDED_PROTO'),
    'proxy' => $asked('HTTP_PROXY'), 'forwarded_host' => $asked('HTTP_X_FORWARDED_HOST'),
    'off' => [ini_get('expose_php'), ini_get('allow_url_fopen'), function_exists('exec')],
    'net' => ini_get('mysqlnd.net_read_timeout'), 'opcache' => ini_get('opcache.memory_consumption'),
], JSON_UNESCAPED_SLASHES);
"""
PHP_FILES = [
    "/usr/share/wordpress/index.php",
    "/usr/share/wordpress/wp-login.php",
    "/usr/share/wordpress/wp-cron.php",
    "/usr/share/wordpress/wp-config.php",
    "/usr/share/wordpress/wp-admin/index.php",
    "/usr/share/wordpress/wp-admin/post.php",
    "/usr/share/wordpress/wp-admin/install.php",
    "/usr/share/wordpress/wp-admin/upgrade.php",
    "/usr/share/wordpress/wp-includes/version.php",
    "/usr/share/perennial/endpoints/health.php",
    f"{CONTENT}/db.php",
    f"{CONTENT}/themes/perennial/functions.php",
    f"{CONTENT}/plugins/x/x.php",
    "/srv/uploads/community/2026/shell.php",
    "/srv/uploads/community/2026/shell.php.jpg",
    "/srv/uploads/community/2026/shell.PHP5",
    "/srv/uploads/community/2026/page.html",
]
FILES = {
    f"{CONTENT}/themes/perennial/style.css": "body {}",
    "/srv/uploads/community/2026/picture.jpg": "a picture",
    "/usr/share/wordpress/wp-includes/js/a.js": "a script",
}
# Inside the tree: both daemons, then each request over one TLS connection of its own, path as it stands.
BOOT = r"""
set -eu
cp -r /test/root/. /
install -d -o www-data /run/php /srv/uploads/community/2026
ln -s /etc/perennial/tls/host.key /srv/uploads/community/2026/link.jpg
php-fpm8.4 --fpm-config /etc/php/8.4/fpm/php-fpm.conf --daemonize
nginx -c /etc/nginx/nginx.conf
php /test/client.php
kill "$(cat /run/nginx.pid)" "$(cat /run/php/php8.4-fpm.pid)"
"""
# HTTP/1.0, so that no answer comes in chunks; the path goes out exactly as it stands.
CLIENT = """<?php
$context = stream_context_create(['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]);
$answers = [];
foreach (json_decode(file_get_contents('/test/requests.json'), true) as [$path, $headers]) {
    $link = stream_socket_client('ssl://127.0.0.1:8443', $code, $text, 20, STREAM_CLIENT_CONNECT, $context);
    fwrite($link, "GET $path HTTP/1.0\\r\\n" . implode("\\r\\n", $headers) . "\\r\\n\\r\\n");
    [$head, $body] = explode("\\r\\n\\r\\n", stream_get_contents($link), 2);
    $lines = explode("\\r\\n", $head);
    $answers[] = [(int) explode(' ', $lines[0])[1], $body, array_slice($lines, 1)];
}
file_put_contents('/test/answers.json', json_encode($answers, JSON_THROW_ON_ERROR));
"""


@dataclass(frozen=True)
class Request:
    """What is sent."""

    path: str
    host: str = DOMAIN
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: str
    headers: dict[str, str]

    def told(self) -> dict[str, Any]:
        """Return what the made-up WordPress saw."""
        seen: dict[str, Any] = json.loads(self.body)
        return seen


def certificate(folder: Path) -> None:
    """Write a certificate and its key for one day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app-1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "host.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "host.key").write_bytes(pem)


def configuration(edges: tuple[str, ...], break_it: tuple[str, str] | None) -> dict[str, str]:
    """Return what the role writes on app-1, path to text, with a rule of nginx.conf broken if asked for."""
    known = variables_of("app-1")
    known["perennial"]["pools"]["edge"] = [{"address": address} for address in edges]
    nginx = render("app", "nginx.conf.j2", known)
    if break_it:
        nginx, times = re.subn(break_it[0], break_it[1], nginx)
        assert times, f"the pattern {break_it[0]!r} is not in nginx.conf"
    # There is no syslog in the tree.
    nginx = re.sub(r"error_log syslog:\S+", "error_log stderr", nginx)
    nginx = re.sub(r"access_log syslog:.*", "access_log off;", nginx)
    fpm = render("app", "php-fpm.conf.j2", known).replace("error_log = syslog", "error_log = /tmp/fpm.log")
    return {
        "/etc/nginx/nginx.conf": nginx,
        "/etc/php/8.4/fpm/php-fpm.conf": fpm,
        "/etc/php/8.4/fpm/conf.d/90-perennial.ini": render(
            "app", "php.ini.j2", known | {"item": {"sapi": "fpm"}}
        ),
    }


def ask(
    tools: Tools,
    folder: Path,
    *requests: Request,
    edges: tuple[str, ...] = ("127.0.0.1",),
    break_it: tuple[str, str] | None = None,
) -> list[Answer]:
    """Start both daemons as the role sets them up, send `requests`, return the answers.

    Args:
        tools: tree to run in.
        folder: empty folder for this run.
        requests: what to send, in order.
        edges: addresses that count as edges; requests come from 127.0.0.1.
        break_it: pattern and replacement in nginx.conf, for positive controls.
    """
    folder.mkdir(exist_ok=True)
    texts = {**configuration(edges, break_it), **dict.fromkeys(PHP_FILES, ECHO), **FILES}
    for name, content in texts.items():
        path = folder / "root" / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    tls = folder / "root/etc/perennial/tls"
    tls.mkdir(parents=True)
    certificate(tls)
    (folder / "boot").write_text(BOOT)
    (folder / "client.php").write_text(CLIENT)
    sent = [(each.path, [f"Host: {each.host}", *map(": ".join, each.headers.items())]) for each in requests]
    (folder / "requests.json").write_text(json.dumps(sent))
    result = tools.run(["sh", "/test/boot"], mounts={folder: "/test"})
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return [
        Answer(status, body, dict(line.split(": ", 1) for line in lines))
        for status, body, lines in json.loads((folder / "answers.json").read_text())
    ]
