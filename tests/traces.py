# SPDX-License-Identifier: Apache-2.0
"""What a lab leaves on the machine: everything that `make down` must take away again.

Other labs come and go on the same machine. What carries the name of another one is no trace of the lab under
test, and what all labs share (images, package cache) may stay while another one is up. All else counts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 4  # labs/LAB/hosts/HOST/…: what a running host of another lab writes inside is its own
STATE, RUN = Path("/var/lib/perennial"), Path("/run")
LAB = r"(?P<lab>[a-z][a-z0-9]*)"  # the shape of an environment's name
BELONGS = [
    re.compile(pattern)
    for pattern in (
        rf"\bpl-{LAB}\b",  # bridge: in links, their members, addresses and routes
        rf"^vb-{LAB}-",  # a member that is not in its bridge yet
        rf"--machine={LAB}-",
        rf"/perennial/labs/{LAB}(?:/|$)",  # files, mounts, loop devices
        rf"/perennial/images/users/[^/]+/{LAB}\.",
        rf"/perennial/cache/users/{LAB}$",
        rf"/perennial-lab/host-{LAB}-",
        rf"^/sys/fs/cgroup/(?:[^/]+/)?perennial/{LAB}(?:/|$)",
        rf"^table inet perennial_{LAB}$",
    )
]
SHARED = re.compile(
    rf"^{STATE}(?:$|/(?:labs$|images(?:/|$)|cache(?:/|$)))|^{RUN}/perennial-lab(?:/|$)"
    r"|^\d+ \S*apt-cacher-ng |^table inet perennial_package_cache$|^/sys/fs/cgroup/(?:[^/]+/)?perennial$"
)


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _files() -> set[str]:
    """Return files and folders of ours outside the package cache, which is kept on purpose."""
    roots = [STATE, *RUN.glob("perennial*")]
    return {path for root in roots for path in _below(root, DEEPEST)}


def _below(root: Path, deepest: int = 99) -> Iterator[str]:
    """Yield what is below `root`, so many folders deep; other labs may take away what this lists."""
    for folder, folders, names in os.walk(root):
        if len(Path(folder).relative_to(root).parts) >= deepest:
            folders.clear()
        yield from (f"{folder}/{name}" for name in (*folders, *names))


def _cgroups() -> set[str]:
    return {
        path
        for path in _below(Path("/sys/fs/cgroup"))
        if "perennial" in Path(path).name and Path(path).is_dir()
    }


def _processes() -> set[str]:
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any("systemd-nspawn" in word or "apt-cacher-ng" in word for word in words):
            machine = [word for word in words if word.startswith("--machine=")]
            found.add(" ".join([str(process.pid), *machine, *words])[:160])
    return found


def _links() -> tuple[set[str], set[str]]:
    """Return links and addresses, each with the bridge that it is a member of: a link's name is cut short."""
    links, addresses = set(), set()
    for link in json.loads("".join(_lines("ip", "-json", "address"))):
        name = f"{link['ifname']} in {link['master']}" if "master" in link else link["ifname"]
        links.add(name)
        addresses |= {f"{name} {address['local']}" for address in link.get("addr_info", [])}
    return links, addresses


def snapshot() -> dict[str, set[str]]:
    """Return processes, mounts, links, addresses, firewall tables, loop devices, cgroups and files."""
    links, addresses = _links()
    loops = json.loads("".join(_lines("losetup", "--json", "--list")) or '{"loopdevices": []}')
    return {
        "processes": _processes(),
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()},
        "links": links,
        "addresses": addresses,
        "firewall": set(_lines("nft", "list", "tables")),
        "loop devices": {f"{d['name']} {d['back-file']}" for d in loops["loopdevices"]},
        "control groups": _cgroups(),
        "files": _files(),
        "routes": {re.sub(r"\s+", " ", line).strip() for line in _lines("ip", "route")},
    }


def owner(line: str) -> str:
    """Return the name of the lab that a trace carries, empty where it carries none."""
    found = (pattern.search(line) for pattern in BELONGS)
    return next((match["lab"] for match in found if match), "")


def left_behind(before: dict[str, set[str]], after: dict[str, set[str]], lab: str) -> dict[str, list[str]]:
    """Return what is there after `lab` and was not before, by kind; empty when nothing is left.

    Left out is what carries another lab's name, and, while such is there, what all labs share.
    """
    others = {owner(line) for lines in after.values() for line in lines} - {"", lab}

    def counts(line: str) -> bool:
        """Tell whether a new trace is the lab's, or at least no other one's."""
        whose = owner(line)
        return whose == lab or (not whose and not (others and SHARED.search(line)))

    left = {kind: sorted(filter(counts, after[kind] - before[kind])) for kind in before}
    return {kind: lines for kind, lines in left.items() if lines}
