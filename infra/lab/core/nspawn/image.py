# SPDX-License-Identifier: Apache-2.0
"""Images: file trees named by their definition, built once and shared by all labs of the machine."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from uuid import uuid4

from infra.lab.core.errors import LabError
from infra.lab.core.model import ImageSpec, ImageState
from infra.lab.core.nspawn.files import locked, remove_if_empty, write_atomic
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

_TRUST_SECONDS = 20.0  # one look at an image serves all hosts of the same command


class Images:
    """Images on this machine."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._seen: dict[str, tuple[float, int]] = {}

    def foresee(self, spec: ImageSpec) -> ImageState:
        """The hash follows from the definition."""
        return ImageState(**dict(spec), hash=definition_hash(spec))

    def create(self, spec: ImageSpec, budget: Budget) -> ImageState:
        """Build the image unless a sound one is there, and note its user."""
        state = self.foresee(spec)
        home = self._paths.images / state.hash
        with locked(self._paths.runtime / f"image-{state.hash}.lock", budget):
            if not self.sound(state.hash):
                self._build(spec, home, budget)
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
                self._discard(name)
                shutil.rmtree(self._paths.images / name, ignore_errors=True)
        remove_if_empty(
            self._paths.images / "users", self._paths.images, self._paths.root, self._paths.runtime
        )

    def layers(self, name: str) -> list[Path]:
        """The file trees of an image, uppermost first, as an overlay mount wants them."""
        found = []
        while name:
            found.append(self._paths.images / name / "root")
            name = str(self._described(name).get("base", ""))
        return found

    def sound(self, name: str) -> bool:
        """Whether the image and those below it are exactly as they were built."""
        home = self._paths.images / name
        described = self._described(name)
        if not described:
            return False
        seen = self._seen.get(name)
        if seen is None or seen[0] < time.monotonic() or seen[1] != (home / "root").stat().st_ino:
            if manifest(home / "root") != described["manifest"]:
                return False
            self._seen[name] = (time.monotonic() + _TRUST_SECONDS, (home / "root").stat().st_ino)
        return not described["base"] or self.sound(str(described["base"]))

    def _described(self, name: str) -> dict[str, str]:
        path = self._paths.images / name / "image.json"
        if not path.exists() or not (path.parent / "root").is_dir():
            return {}
        try:
            found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return {}
        return found

    def _users(self, name: str) -> Path:
        return self._paths.images / "users" / name

    def _discard(self, name: str) -> None:
        self._seen.pop(name, None)
        for leftover in self._paths.images.glob(f".{name}-*"):
            shutil.rmtree(leftover)

    def _build(self, spec: ImageSpec, home: Path, budget: Budget) -> None:
        self._discard(home.name)
        work = self._paths.images / f".{home.name}-{uuid4().hex[:8]}"
        for part in ("root", "work", "merged"):
            (work / part).mkdir(parents=True)
        try:
            self._fill(spec, work, budget)
            for part in ("work", "merged"):  # first: whiteouts in root are links to one in work
                shutil.rmtree(work / part)
            facts = {
                "name": spec.name,
                "suite": spec.suite,
                "base": spec.base,
                "packages": sorted(spec.packages),
                "manifest": manifest(work / "root"),
            }
            write_atomic(work / "image.json", json.dumps(facts, indent=1) + "\n")
            if home.exists():  # a damaged one: hosts that run on it are started again on the new one
                home.rename(home.with_name(f".{home.name}-damaged"))
            work.rename(home)
        except (LabError, OSError) as error:
            shutil.rmtree(work, ignore_errors=True)
            raise LabError(f"image {spec.name}: {error}") from error
        self._discard(home.name)

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
