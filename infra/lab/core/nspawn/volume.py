# SPDX-License-Identifier: Apache-2.0
"""Volumes: each a sparse file with a file system that fills up, fails and outlives hosts alone."""

from __future__ import annotations

import os
from pathlib import Path

from infra.lab.core.errors import LabError
from infra.lab.core.model import VolumeSpec, VolumeState
from infra.lab.core.nspawn.files import locked
from infra.lab.core.nspawn.mounts import mounted, unmount_below
from infra.lab.core.nspawn.paths import Paths
from infra.lab.core.process import Budget, run

_GIB = 1024**3


class Volumes:
    """Volumes on this machine."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def foresee(self, spec: VolumeSpec) -> VolumeState:
        """All of a volume's state follows from its specification."""
        return VolumeState(**dict(spec), path=str(data_directory(self._paths, spec.lab, spec.name)))

    def create(self, spec: VolumeSpec, budget: Budget) -> VolumeState:
        """Make the volume, or mount the one that is there with its data."""
        image, point = self._places(spec)
        with locked(self._paths.runtime / f"volume-{spec.lab}-{spec.name}.lock", budget):
            if mounted(point) and not self._served_by(point, image, budget):
                unmount_below(point, budget)
            if not image.exists():
                _format(image, spec.size_gib, budget)
            if not mounted(point):
                point.mkdir(parents=True, exist_ok=True)
                _mount(image, point, budget)
            (point / "data").mkdir(exist_ok=True)
        return self.update(self.foresee(spec), spec, budget)

    def read(self, old: VolumeState, budget: Budget) -> VolumeState | None:
        """The volume when its file is there and mounted; its size is the file's."""
        image, point = self._places(old)
        if not image.exists() or not self._served_by(point, image, budget):
            return None
        return old.model_copy(update={"size_gib": max(1, image.stat().st_size // _GIB)})

    def update(self, old: VolumeState, spec: VolumeSpec, budget: Budget) -> VolumeState:
        """Let the volume grow while it is in use.

        Raises:
            LabError: a smaller size was asked for.
        """
        budget.check(f"changing volume {old.name}")
        image, point = self._places(spec)
        have, want = image.stat().st_size, spec.size_gib * _GIB
        if want < have:
            raise LabError(
                f"volume {spec.name} of lab {spec.lab}: {have // _GIB} GiB cannot shrink to {spec.size_gib}; "
                f"give a new volume another name, or keep the size"
            )
        if want > have:
            _grow(image, point, have, want, budget)
        return self.foresee(spec)

    def delete(self, old: VolumeState, budget: Budget) -> None:
        """Unmount the volume and remove it with its data."""
        image, point = self._places(old)
        unmount_below(point, budget)
        image.unlink(missing_ok=True)
        if point.exists():
            point.rmdir()

    def _places(self, spec: VolumeSpec) -> tuple[Path, Path]:
        home = self._paths.volumes(spec.lab)
        return home / f"{spec.name}.img", home / spec.name

    def _served_by(self, point: Path, image: Path, budget: Budget) -> bool:
        mount = mounted(point)
        if mount is None:
            return False
        backing = run(["losetup", "--noheadings", "--output", "BACK-FILE", mount.source], budget).strip()
        return backing == str(image)


def data_directory(paths: Paths, lab: str, volume: str) -> Path:
    """What hosts see of a volume: not its root, whose lost+found programs stumble over."""
    return paths.volumes(lab) / volume / "data"


def _grow(image: Path, point: Path, have: int, want: int, budget: Budget) -> None:
    os.truncate(image, want)
    mount = mounted(point)
    if mount is None:
        return  # create grows the file system when it mounts the volume
    run(["losetup", "--set-capacity", mount.source], budget)
    try:
        run(["resize2fs", mount.source], budget)
    except LabError as refusal:  # some kernels let nobody grow a mounted file system
        try:
            run(["umount", point], budget)
        except LabError:
            os.truncate(image, have)
            run(["losetup", "--set-capacity", mount.source], budget)
            raise LabError(
                f"{image}: this machine does not grow file systems in use ({refusal}); "
                "stop the hosts that mount it, then run the same command again"
            ) from refusal
        _mount(image, point, budget)


def _mount(image: Path, point: Path, budget: Budget) -> None:
    while True:
        device = _device(image, budget)
        if not device and _file_system_size(image, budget) < image.stat().st_size:  # grown while not in use
            run(["e2fsck", "-f", "-p", image], budget, accept=1)  # 1: it mended what a crash left
            run(["resize2fs", image], budget)
        try:
            run(["mount", "-o", "nodev" if device else "loop,nodev", device or image, point], budget)
        except LabError:
            if not device:
                raise
        else:
            return
        budget.pause(0.1, f"mounting {image}")  # the device was just being given up by its last user


def _file_system_size(image: Path, budget: Budget) -> int:
    lines = (line.partition(":") for line in run(["dumpe2fs", "-h", image], budget).splitlines())
    facts = {name: value.strip() for name, _, value in lines}
    return int(facts["Block count"]) * int(facts["Block size"])


def _device(image: Path, budget: Budget) -> str:
    """The loop device that a guest still holds on this file; two of them on one file would destroy it."""
    return run(["losetup", "--noheadings", "--output", "NAME", "--associated", image], budget).strip()


def _format(image: Path, size_gib: int, budget: Budget) -> None:
    image.parent.mkdir(parents=True, exist_ok=True)
    temporary = image.with_name(f".{image.name}.new")
    temporary.unlink(missing_ok=True)
    with temporary.open("wb") as stream:
        stream.truncate(size_gib * _GIB)
    temporary.chmod(0o600)
    run(
        ["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", temporary],
        budget,
    )
    temporary.rename(image)
