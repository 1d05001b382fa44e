# SPDX-License-Identifier: Apache-2.0
"""Commands inside the Debian 13 tools tree, each in namespaces of its own: nothing is left behind."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHECKOUT = Path(__file__).parents[2]

# $1 tree, $2 user, $3 number of mounts, then pairs of source and target, then the command. All mounts are in
# a namespace that ends with the command; the tree is the lower side of an overlay and stays as it is.
SCRIPT = """
set -eu
tree=$1 user=$2 mounts=$3; shift 3
ip link set lo up
ip link add host0 type bridge  # some daemons refuse a configuration whose interface does not exist
base=$tree/mnt
mount -t tmpfs tools "$base"
mkdir "$base/upper" "$base/work" "$base/root"; root=$base/root
mount -t overlay -o "lowerdir=$tree,upperdir=$base/upper,workdir=$base/work" tools "$root"
echo "127.0.0.1 localhost" > "$root/etc/hosts"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=0755 run "$root/run"
while [ "$mounts" -gt 0 ]; do
    if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; : > "$root$2"; fi
    mount --bind "$1" "$root$2"
    shift 2; mounts=$((mounts - 1))
done
exec chroot --userspec="$user" "$root" /usr/bin/env -i \\
    PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8 "$@"
"""


@dataclass(frozen=True)
class Tools:
    """A tree made by infra/toolchain/tools_image.py."""

    root: Path

    def run(
        self,
        command: Sequence[str],
        *,
        mounts: Mapping[Path, str] | None = None,
        user: str = "root:root",
        seconds: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` in the tree and return the process; output is captured, no exit code raises.

        Args:
            command: program and arguments as seen inside.
            mounts: host path → path inside, visible and writable for the command.
            user: `user:group` that the command runs as.
            seconds: limit; subprocess.TimeoutExpired is raised and everything inside is ended.
        """
        pairs = [text for source, target in (mounts or {}).items() for text in (str(source), target)]
        arguments = [str(self.root.resolve()), user, str(len(pairs) // 2), *pairs, *command]
        unshare = [
            "unshare",
            "--mount",
            "--pid",
            "--net",
            "--ipc",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ]
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        return subprocess.run(
            [*sudo, *unshare, "sh", "-c", SCRIPT, "tools", *arguments],
            text=True,
            capture_output=True,
            check=False,
            timeout=seconds,
        )


def find() -> Tools:
    """Return the tools tree of this checkout or of PERENNIAL_TOOLS_ROOT; raise FileNotFoundError."""
    root = Path(os.environ.get("PERENNIAL_TOOLS_ROOT") or CHECKOUT / ".tools" / "debian13")
    if not (root / "usr" / "bin" / "varnishtest").exists():
        raise FileNotFoundError(f"no Debian 13 tools tree at {root}: run `make setup`")
    return Tools(root)
