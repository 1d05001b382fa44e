# SPDX-License-Identifier: Apache-2.0
"""Where a site is reached: its address, its name, and the one authority that may vouch for it."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet


@dataclass(frozen=True)
class Target:
    """A site behind an address; TLS is verified for `domain` against the authority in `ca_file`."""

    address: str
    domain: str
    ca_file: Path
    path: str = "/"
    port: int = 443

    def context(self) -> ssl.SSLContext:
        """Return a context that trusts the platform's authority and nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca_file)
        return context


@contextmanager
def visited(fleet: Fleet, site: str) -> Iterator[Target]:
    """Give `site` behind the virtual address while the block runs."""
    with TemporaryDirectory(prefix="perennial-site-") as folder:
        authority = Path(folder) / "ca.crt"
        authority.write_text(fleet.secret("authority")["certificate"], "utf-8")
        address = str(fleet.platform.environment.vip.address)
        yield Target(address, fleet.platform.sites[site].domain, authority)
