# SPDX-License-Identifier: Apache-2.0
"""What a person reads when the platform is up: where it is, how to see it, what to try next."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from infra.inventory import Fleet


def write_authority(fleet: Fleet, directory: Path) -> Path:
    """Write the certificate of the platform's authority for browsers and curl; return its path."""
    path = directory / "authority.crt"
    path.write_text(fleet.secret("authority")["certificate"], encoding="utf-8")
    return path


def up_summary(fleet: Fleet, authority: Path, seconds: float) -> list[str]:
    """Return the lines printed at the end of `make up`."""
    platform = fleet.platform
    vip, name = platform.environment.vip.address, platform.name
    site = next(iter(platform.sites.values()))
    flag = "" if name == "lab" else f" --env {name}"
    suffix = "" if name == "lab" else f" ENV={name}"
    watch = platform.with_role("monitoring")[0]
    machine = f"{getpass.getuser()}@{socket.gethostname()}"
    return [
        f"{name} is up: {len(platform.hosts)} hosts in {seconds:.0f} s.",
        "",
        f"  site        https://{site.domain}/ at {vip}",
        f"  here        curl --cacert {authority} --resolve {site.domain}:443:{vip} https://{site.domain}/",
        f"  other desk  ssh -D 1080 {machine}   then a browser with SOCKS proxy localhost:1080,",
        f"              the line '{vip} {site.domain}' in its machine's hosts file,",
        f"              and the lab authority {authority} imported",
        f"  metrics     https://{watch.fqdn}:9090/ at {watch.address}",
        f"  log in      https://{site.domain}/wp-login.php as {site.definition.admin.login}; the password:",
        f"              .venv/bin/perennial secret show wordpress-admin{flag}",
        "",
        "Try next:",
        f"  make verify{suffix}",
        f"  .venv/bin/perennial fleet status{flag}",
        f"  .venv/bin/perennial status{flag}",
    ]
