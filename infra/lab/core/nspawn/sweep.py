# SPDX-License-Identifier: Apache-2.0
"""Removes what a lab left behind when its commands were interrupted and no engine knows of it any more."""

from __future__ import annotations

from infra.lab.core.nspawn.cgroup import host_groups
from infra.lab.core.nspawn.files import remove_if_empty
from infra.lab.core.nspawn.host import remove_host
from infra.lab.core.nspawn.image import Images
from infra.lab.core.nspawn.mounts import unmount_below
from infra.lab.core.nspawn.paths import Paths
from infra.lab.core.process import Budget


def sweep_lab(paths: Paths, lab: str, budget: Budget) -> None:
    """End the lab's hosts, remove its volumes, and give up its images."""
    hosts = paths.lab(lab) / "hosts"
    names = {path.name for path in hosts.iterdir()} if hosts.is_dir() else set()
    for name in sorted(names | host_groups(lab)):
        remove_host(paths, lab, name, budget)
    unmount_below(paths.lab(lab), budget)
    images = Images(paths)
    for user in sorted((paths.images / "users").glob(f"*/{lab}.*")):
        images.release(user.parent.name, user.name, budget)
    remove_if_empty(paths.images / "users", paths.images)
