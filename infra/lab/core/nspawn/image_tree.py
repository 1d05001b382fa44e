# SPDX-License-Identifier: Apache-2.0
"""The built file trees of images on disk: which is current, whether it is whole, which are left over."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from infra.lab.core.nspawn.manifest import manifest
from infra.lab.core.nspawn.mounts import mount_table
from infra.lab.core.nspawn.paths import Paths

_TRUST_SECONDS = 20.0  # one look at an image serves all hosts of the same command


class ImageTrees:
    """Reads ``images/<hash>/image.json``, which names the current build; writing it makes a build count.

    A build that replaces a damaged one gets a directory of its own, because hosts, also of other labs, may
    still run on the damaged one.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._seen: dict[tuple[str, str], float] = {}

    def home(self, name: str) -> Path:
        """All builds of one image."""
        return self._paths.images / name

    def described(self, name: str) -> dict[str, str]:
        """The facts noted about the current build; nothing when there is none."""
        try:
            found: dict[str, str] = json.loads((self.home(name) / "image.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if {"build", "base", "below", "manifest"} <= found.keys() else {}

    def tree(self, name: str) -> Path:
        """The file tree of the current build."""
        return self.home(name) / self.described(name).get("build", "none") / "root"

    def layers(self, name: str) -> list[Path]:
        """The file trees of an image, uppermost first, as an overlay mount wants them."""
        found = []
        while name:
            found.append(self.tree(name))
            name = self.described(name).get("base", "")
        return found

    def sound(self, name: str) -> bool:
        """Whether the image is exactly as it was built, over the very build of its base that it needs."""
        described = self.described(name)
        if not described or not self.tree(name).is_dir():
            return False
        key = (name, described["build"])
        if self._seen.get(key, 0.0) < time.monotonic():
            if manifest(self.tree(name)) != described["manifest"]:
                return False
            self._seen[key] = time.monotonic() + _TRUST_SECONDS
        base = described["base"]
        return not base or (self.described(base).get("build") == described["below"] and self.sound(base))

    def prune(self, name: str, *, keep_current: bool) -> None:
        """Remove builds that are not current and that no mount of this machine uses any more."""
        current = self.described(name).get("build") if keep_current else None
        used = [mount.options for mount in mount_table() if mount.kind == "overlay"]
        home = self.home(name)
        for build in home.iterdir() if home.is_dir() else ():
            if build.is_dir() and build.name != current and not any(str(build) in text for text in used):
                shutil.rmtree(build)
        if not keep_current:
            (home / "image.json").unlink(missing_ok=True)
