# SPDX-License-Identifier: Apache-2.0
"""Reference of the uncached page: Debian's WordPress, Apache and MariaDB as they come, OPcache on.

Installed as the package's README describes (one virtual host, a database of its own), with the default theme.
Nothing is tuned and nothing is taken away: MPM prefork with mod_php, MariaDB's and PHP's default settings.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.bench.certificates import self_signed
from loadtests.bench.figures import BenchError
from loadtests.bench.load import Endpoint
from loadtests.bench.pages import context, look

if TYPE_CHECKING:
    import ssl

    from loadtests.bench.reference_host import ReferenceHost

DOMAIN = "stock.bench.test"
WARM_REQUESTS = 40
VIRTUAL_HOST = f"""
<VirtualHost *:443>
    ServerName {DOMAIN}
    DocumentRoot /usr/share/wordpress
    DirectoryIndex index.php index.html
    ErrorLog /var/log/apache2/wp-error.log
    CustomLog /var/log/apache2/wp-access.log combined
    SSLEngine on
    SSLProtocol TLSv1.3
    SSLCertificateFile /etc/apache2/bench.crt
    SSLCertificateKeyFile /etc/apache2/bench.key
    Alias /bench-opcache.php /srv/bench-opcache/status.php
    <Directory /usr/share/wordpress>
        Options FollowSymLinks
        Require all granted
    </Directory>
    <Directory /srv/bench-opcache>
        Require all granted
    </Directory>
</VirtualHost>
"""
OPCACHE = "<?php $s = opcache_get_status(false); echo json_encode(['on' => $s['opcache_enabled'] ?? false, "
OPCACHE += "'scripts' => $s['opcache_statistics']['num_cached_scripts'] ?? 0]);\n"
# The password of the database comes by standard input, as every secret here.
DATABASE = """
systemctl start mariadb.service
read -r password
mariadb <<SQL
CREATE DATABASE wordpress CHARACTER SET utf8mb4;
CREATE USER wordpress@localhost IDENTIFIED BY '$password';
GRANT ALL ON wordpress.* TO wordpress@localhost;
SQL
"""
CONFIGURATION = """<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_PASSWORD', '{password}');
define('DB_HOST', 'localhost');
define('SECRET_KEY', '{key}');
"""
# Content comes by standard input and is written as WordPress stores it.
INSTALL = """
$_SERVER['HTTP_HOST'] = $_SERVER['SERVER_NAME'] = '%s';
$_SERVER['HTTPS'] = 'on';
define('WP_INSTALLING', true);
require '/usr/share/wordpress/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
add_filter('pre_http_request', fn() => new WP_Error('bench', 'no way out'));
add_filter('pre_wp_mail', '__return_true');
wp_install('Bench', 'bench', 'bench@example.org', true, '', bin2hex(random_bytes(16)));
update_option('permalink_structure', '');
echo wp_insert_post(wp_slash(['post_title' => 'Bench', 'post_status' => 'publish', 'post_author' => 1,
    'post_content' => stream_get_contents(STDIN)]));
"""
SERVE = f"""
printf '127.0.0.1 %s\\n' {DOMAIN} >> /etc/hosts
a2enmod -q ssl
a2dissite -q 000-default
a2ensite -q bench
systemctl restart apache2.service
"""


@dataclass(frozen=True)
class Stock:
    """The running reference: where its page is, how to trust it, and what is known of it."""

    endpoint: Endpoint
    trust: ssl.SSLContext
    page_bytes: int
    cached_scripts: int
    versions: str


def serve(host: ReferenceHost, content: str) -> Stock:
    """Install and warm the stock site with one post of `content` on `host`.

    Raises:
        BenchError: it does not serve the post, or OPcache is not at work.
    """
    host.run("systemctl stop nginx.service")
    password = secrets.token_hex(16)
    host.run(DATABASE, stdin=password + "\n")
    configuration = CONFIGURATION.format(password=password, key=secrets.token_hex(32))
    host.put(f"/etc/wordpress/config-{DOMAIN}.php", configuration, "0640")
    host.run(f"chgrp www-data /etc/wordpress/config-{DOMAIN}.php")
    certificate, key = self_signed(DOMAIN)
    host.put("/etc/apache2/bench.crt", certificate)
    host.put("/etc/apache2/bench.key", key, "0600")
    host.put("/etc/apache2/sites-available/bench.conf", VIRTUAL_HOST)
    host.run("install -d -m 0755 /srv/bench-opcache")
    host.put("/srv/bench-opcache/status.php", OPCACHE)
    number = host.run('exec runuser -u www-data -- php -r "$1"', INSTALL % DOMAIN, stdin=content).strip()
    if not number.isdigit():
        raise BenchError(f"stock WordPress was not installed: {number[-300:]}")
    host.run(SERVE)
    return _warm(host, Endpoint(host.address, DOMAIN, f"/?p={number}&bench=1"), context(certificate), content)


def _warm(host: ReferenceHost, endpoint: Endpoint, trust: ssl.SSLContext, content: str) -> Stock:
    for _ in range(WARM_REQUESTS):
        page = look(endpoint, trust)
    if page.status != 200 or content.strip().encode() not in page.body:
        raise BenchError(f"stock WordPress answers {page.status} without the post's content")
    answer = look(Endpoint(endpoint.address, endpoint.domain, "/bench-opcache.php"), trust).body
    opcache = json.loads(answer)
    if not opcache["on"] or opcache["scripts"] < 100:
        raise BenchError(f"OPcache is not at work in the stock site: {answer.decode()}")
    names = "wordpress apache2 libapache2-mod-php8.4 mariadb-server"
    versions = host.run(f"dpkg-query -W -f '${{Package}} ${{Version}}, ' {names}").rstrip(", ")
    return Stock(endpoint, trust, len(page.body), opcache["scripts"], versions)
