# SPDX-License-Identifier: Apache-2.0
"""Reference of the cached page: nginx with the very same bytes as a static file over TLS 1.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.bench.certificates import self_signed
from loadtests.bench.load import Endpoint
from loadtests.bench.pages import context, look

if TYPE_CHECKING:
    import ssl

    from loadtests.bench.reference_host import ReferenceHost

DOMAIN = "static.bench.test"
ROOT = "/srv/bench"
# Debian's own nginx.conf (sendfile, tcp_nopush, access log on) with what the platform's side has as well: as
# many workers as CPUs, the same cipher, connections that are not closed after 1000 requests.
CONFIGURATION = """
keepalive_requests 10000000;
server {{
    listen 443 ssl;
    server_name {domain};
    root {root};
    ssl_certificate /etc/nginx/bench.crt;
    ssl_certificate_key /etc/nginx/bench.key;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites {cipher};
}}
"""
START = f"""
install -d -m 0755 {ROOT}
sed -i 's/^worker_processes .*/worker_processes '"$1"';/' /etc/nginx/nginx.conf
rm -f /etc/nginx/sites-enabled/default
nginx -t -q
systemctl restart nginx.service
"""
STOP = "systemctl stop nginx.service"


def serve(host: ReferenceHost, body: bytes, cipher: str, workers: int) -> tuple[Endpoint, ssl.SSLContext]:
    """Serve `body` by nginx on `host` with the TLS 1.3 `cipher`; return where, and whom to trust for it."""
    certificate, key = self_signed(DOMAIN)
    host.put("/etc/nginx/bench.crt", certificate)
    host.put("/etc/nginx/bench.key", key, "0600")
    configuration = CONFIGURATION.format(domain=DOMAIN, root=ROOT, cipher=cipher)
    host.put("/etc/nginx/conf.d/bench.conf", configuration)
    host.run(START, str(workers))
    host.put(f"{ROOT}/page.html", body.decode("utf-8"))
    endpoint = Endpoint(host.address, DOMAIN, "/page.html")
    return endpoint, context(certificate)


def same_bytes(endpoint: Endpoint, trust: ssl.SSLContext, body: bytes) -> bool:
    """Tell whether the reference serves exactly `body`."""
    found = look(endpoint, trust)
    return found.status == 200 and found.body == body
