# SPDX-License-Identifier: Apache-2.0
"""Images: file trees named by their definition, built once and shared by all labs of the machine."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from uuid import uuid4

from infra.lab.core.errors import CancelledError, LabError
from infra.lab.core.model import ImageSpec, ImageState
from infra.lab.core.nspawn.files import locked, remove_if_empty, write_atomic
from infra.lab.core.nspawn.image_tree import ImageTrees
from infra.lab.core.nspawn.manifest import manifest
from infra.lab.core.nspawn.paths import Paths
from infra.lab.core.nspawn.recipe import (
    BASE_PACKAGES,
    BUILD_BASE,
    BUILD_LAYER,
    FINISH_BASE,
    definition_hash,
)
from infra.lab.core.process import Budget, contained, run

_NEEDED_BYTES = (
    2 * 1024**3
)  # a role's image with its packages, while it is built; the largest of the platform takes 1.1
_log = logging.getLogger(__name__)


class Images:
    """Images on this machine."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._trees = ImageTrees(paths)

    def foresee(self, spec: ImageSpec) -> ImageState:
        """The hash follows from the definition."""
        return ImageState(**dict(spec), hash=definition_hash(spec))

    def create(self, spec: ImageSpec, budget: Budget) -> ImageState:
        """Build the image unless a sound one is there, and note its user."""
        state = self.foresee(spec)
        with locked(self._paths.runtime / f"image-{state.hash}.lock", budget):
            if not self.sound(state.hash):
                self._build(spec, state.hash, budget)
            users = self._users(state.hash)
            users.mkdir(parents=True, exist_ok=True)
            (users / _user(spec)).touch()
        return state

    def read(self, old: ImageState, budget: Budget) -> ImageState | None:
        """The image when it is whole and counts this user."""
        budget.check(f"looking at image {old.name}")
        noted = (self._users(old.hash) / _user(old)).exists()
        return old if noted and self.sound(old.hash) else None

    def update(self, old: ImageState, spec: ImageSpec, budget: Budget) -> ImageState:
        """An image's definition never changes in place; only who asks for it may."""
        budget.check(f"changing image {old.name}")
        return self.create(spec, budget)

    def delete(self, old: ImageState, budget: Budget) -> None:
        """Give the image up; with its last user its files go."""
        self.release(old.hash, _user(old), budget)

    def release(self, name: str, user: str, budget: Budget) -> None:
        """Remove one user of an image, and the image with the last."""
        with locked(self._paths.runtime / f"image-{name}.lock", budget):
            users = self._users(name)
            (users / user).unlink(missing_ok=True)
            if not users.is_dir() or not any(users.iterdir()):
                remove_if_empty(users)
                self._trees.prune(name, keep_current=False)
                remove_if_empty(self._trees.home(name))
        remove_if_empty(
            self._paths.images / "users", self._paths.images, self._paths.root, self._paths.runtime
        )

    def layers(self, name: str) -> list[Path]:
        """The file trees of an image, uppermost first, as an overlay mount wants them."""
        return self._trees.layers(name)

    def sound(self, name: str) -> bool:
        """Whether the image and those below it are exactly as they were built."""
        return self._trees.sound(name)

    def _users(self, name: str) -> Path:
        return self._paths.images / "users" / name

    def _build(self, spec: ImageSpec, name: str, budget: Budget) -> None:
        self._trees.prune(name, keep_current=True)
        _refuse_full(self._paths.root, spec.name)
        _log.info(
            "building image %s (%d packages of its own): up to some minutes", spec.name, len(spec.packages)
        )
        home = self._trees.home(name)
        work = home / uuid4().hex[:12]
        try:
            for part in ("root", "work", "merged"):
                (work / part).mkdir(parents=True)
            self._fill(spec, work, budget)
            for part in ("work", "merged"):  # first: whiteouts in root are links to one in work
                shutil.rmtree(work / part)
            facts = {
                "build": work.name,
                "name": spec.name,
                "suite": spec.suite,
                "base": spec.base,
                "below": self._trees.described(spec.base).get("build", "") if spec.base else "",
                "packages": " ".join(sorted(spec.packages)),
                "manifest": manifest(work / "root"),
            }
            write_atomic(home / "image.json", json.dumps(facts, indent=1) + "\n")
        except (LabError, OSError) as error:
            shutil.rmtree(work, ignore_errors=True)
            if isinstance(error, CancelledError):
                raise
            raise LabError(f"image {spec.name}: {error}") from error
        self._trees.prune(name, keep_current=True)

    def _fill(self, spec: ImageSpec, work: Path, budget: Budget) -> None:
        proxy = f"http://127.0.0.1:{spec.cache_port}"
        tree = work / "root"
        if not spec.base:
            packages = ",".join(sorted({*spec.packages, *BASE_PACKAGES}))
            run(contained(BUILD_BASE, tree, spec.suite, proxy, packages), budget)
            run(contained(FINISH_BASE, tree), budget)
            return
        if not self.sound(spec.base):
            raise LabError(f"its base image {spec.base} is missing or damaged; the next run builds it again")
        base = ":".join(str(layer) for layer in self.layers(spec.base))
        run(
            contained(BUILD_LAYER, base, tree, work / "work", work / "merged", proxy, *sorted(spec.packages)),
            budget,
        )


def _user(spec: ImageSpec) -> str:
    return f"{spec.lab}.{spec.name}"


def _refuse_full(directory: Path, name: str) -> None:
    free = shutil.disk_usage(directory).free
    if free < _NEEDED_BYTES:
        raise LabError(
            f"image {name}: {directory} has {free / 1024**3:.1f} GiB free and a build needs "
            f"{_NEEDED_BYTES / 1024**3:.0f}; free some space, then run the same command again"
        )
