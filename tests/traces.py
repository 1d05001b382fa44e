# SPDX-License-Identifier: Apache-2.0
"""What a lab leaves on the machine: everything that `make down` must take away again."""

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
            found.add(f"{process.pid} {' '.join(words)[:120]}")
    return found


def snapshot() -> dict[str, set[str]]:
    """Return processes, mounts, links, addresses, firewall tables, loop devices, cgroups and files."""
    links = json.loads("".join(_lines("ip", "-json", "address")))
    loops = json.loads("".join(_lines("losetup", "--json", "--list")) or '{"loopdevices": []}')
    return {
        "processes": _processes(),
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()},
        "links": {link["ifname"] for link in links},
        "addresses": {f"{link['ifname']} {a['local']}" for link in links for a in link.get("addr_info", [])},
        "firewall": set(_lines("nft", "list", "tables")),
        "loop devices": {f"{d['name']} {d['back-file']}" for d in loops["loopdevices"]},
        "control groups": _cgroups(),
        "files": _files(),
        "routes": {re.sub(r"\s+", " ", line).strip() for line in _lines("ip", "route")},
    }


def left_behind(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, list[str]]:
    """Return what is there after and was not before, by kind; empty when nothing is left."""
    return {kind: sorted(after[kind] - before[kind]) for kind in before if after[kind] - before[kind]}
