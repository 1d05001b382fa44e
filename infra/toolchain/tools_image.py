# SPDX-License-Identifier: Apache-2.0
"""A Debian 13 tree with the daemons of the platform, in which template tests check configurations.

The machine's own versions would judge by other rules; so `haproxy -c`, `varnishtest`, `nginx -t`, `promtool`
and `amtool` run in here. The tree is named by a hash of its definition and built once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUITE = "trixie"
PACKAGES = (
    "ca-certificates",
    "haproxy",
    "keepalived",
    "libnginx-mod-http-cache-purge",
    "mariadb-server-core",
    "nftables",
    "nginx-light",
    "openssh-server",
    "openssl",
    "php8.4-cli",
    "php8.4-fpm",
    "php8.4-mysql",
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-blackbox-exporter",
    "python3-minimal",
    "rsyslog",
    "rsyslog-openssl",
    "systemd",
    "varnish",
)
# Nothing starts in here, and nobody reads manuals.
OPTIONS = (
    "--variant=minbase",
    "--mode=root",
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)


class ToolsImageError(Exception):
    """The tree could not be built."""


def definition() -> str:
    """Return the hash that names the tree."""
    text = "\n".join((SUITE, *sorted(PACKAGES), *OPTIONS))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ensure(root: Path, say: Callable[[str], None] = print) -> Path:
    """Return `root` as a link to a complete tree of today's definition; build one when there is none.

    That takes about a minute. Two callers at once are safe: the second one waits. An interrupted build begins
    anew. Raises ToolsImageError with the end of the builder's output. Needs root and mmdebstrap.
    """
    store = root.parent / f"{root.name}.trees"
    tree = store / definition()
    store.mkdir(parents=True, exist_ok=True)
    with _locked(store / "lock"):
        if not tree.is_dir():
            say("building the Debian 13 tree in which configurations are checked (about a minute)")
            _build(tree)
        for other in store.iterdir():
            if other.is_dir() and other != tree:
                shutil.rmtree(other)
        if not root.is_symlink() or root.readlink() != tree.relative_to(root.parent):
            root.unlink(missing_ok=True)
            root.symlink_to(tree.relative_to(root.parent))
    return root


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(tree: Path) -> None:
    part = tree.with_suffix(".part")
    if part.exists():
        shutil.rmtree(part)
    proxy = os.environ.get("PERENNIAL_PACKAGE_CACHE", "")
    # In mounts of its own: killed, it would leave /proc and /sys in the tree that the next run removes.
    command = ["unshare", "--mount", "--propagation=private", "mmdebstrap", *OPTIONS]
    command.append(f"--include={','.join(PACKAGES)}")
    if proxy:
        command.append(f'--aptopt=Acquire::http::Proxy "{proxy}"')
    result = subprocess.run([*command, SUITE, str(part)], text=True, capture_output=True, check=False)
    if result.returncode != 0:
        raise ToolsImageError(f"mmdebstrap failed ({result.returncode}):\n{result.stderr[-2000:]}")
    part.rename(tree)


if __name__ == "__main__":
    print(
        ensure(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / ".tools" / "debian13")
    )
