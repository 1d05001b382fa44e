# SPDX-License-Identifier: Apache-2.0
"""Hosts: a file tree over an image, booted by systemd-nspawn in cgroups of its own."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from infra.lab.core.errors import LabError, UnhealthyError
from infra.lab.core.model import HostSpec, HostState
from infra.lab.core.nspawn import guest, seed
from infra.lab.core.nspawn.cgroup import HostGroup
from infra.lab.core.nspawn.files import locked, remove_if_empty, write_atomic
from infra.lab.core.nspawn.image import Images
from infra.lab.core.nspawn.launch import launch, machine_name
from infra.lab.core.nspawn.mounts import mounted, unmount_below
from infra.lab.core.nspawn.paths import Paths, bridge
from infra.lab.core.process import Budget, run

_STOP_SECONDS = 15.0
_NSPAWN_RUNTIME = Path("/run/systemd/nspawn")
_log = logging.getLogger(__name__)


class Hosts:
    """Hosts on this machine."""

    def __init__(self, paths: Paths, images: Images) -> None:
        self._paths = paths
        self._images = images

    def foresee(self, spec: HostSpec) -> HostState:
        """All of a host's state follows from its specification."""
        return HostState(**dict(spec), host_key=seed.public_key(spec.host_key_private))

    def create(self, spec: HostSpec, budget: Budget) -> HostState:
        """Boot the host; files of the same image that a stopped host left are taken over.

        Raises:
            UnhealthyError: the host was made, but its init or ssh is not as it should be.
        """
        state = self.foresee(spec)
        with self._lock(spec, budget):
            group = HostGroup(spec.lab, spec.name)
            if self._alive(spec):
                group.limit(spec.memory_mib, spec.cpus)
            else:
                self._stop(spec, budget)
                self._mount(spec, budget)
                launch(self._paths, spec, group, budget)
            if not self._record(spec).get("booted"):
                self._await(spec, group, budget)
        return state

    def read(self, old: HostState, budget: Budget) -> HostState | None:
        """The host when its guest, its supervisor and its mounts are all there, on a sound image."""
        budget.check(f"looking at host {old.name}")
        return old if self._alive(old) else None

    def update(self, old: HostState, spec: HostSpec, budget: Budget) -> HostState:
        """Change limits and the operator's key in place; new mounts or host keys restart the guest."""
        with self._lock(spec, budget):
            if old.authorized_key != spec.authorized_key and mounted(self._home(spec) / "root"):
                seed.seed_key(self._home(spec) / "root", spec)
            if not self._alive(spec):
                self._stop(spec, budget, graceful=True)
        return self.create(spec, budget)

    def delete(self, old: HostState, budget: Budget) -> None:
        """Stop the host and remove its files; data volumes stay."""
        with self._lock(old, budget):
            self._stop(old, budget, graceful=bool(old.mounts))
            remove_host(self._paths, old.lab, old.name, budget)

    def _lock(self, spec: HostSpec, budget: Budget) -> AbstractContextManager[None]:
        return locked(self._paths.runtime / f"host-{spec.lab}-{spec.name}.lock", budget)

    def _home(self, spec: HostSpec) -> Path:
        return self._paths.host(spec.lab, spec.name)

    def _record(self, spec: HostSpec) -> dict[str, object]:
        try:
            found: dict[str, object] = json.loads(
                (self._home(spec) / "host.json").read_text(encoding="utf-8")
            )
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def _note(self, spec: HostSpec, **facts: object) -> None:
        record = {**self._record(spec), **facts}
        write_atomic(self._home(spec) / "host.json", json.dumps(record, indent=1) + "\n")

    def _alive(self, spec: HostSpec) -> bool:
        record = self._record(spec)
        group = HostGroup(spec.lab, spec.name)
        return (
            record.get("boot") == _boot_digest(spec)
            and self._images.sound(spec.image)
            and record.get("lower") == self._lower(spec)
            and mounted(self._home(spec) / "root") is not None
            and guest.supervised(group)
            and (pid := guest.leader(group)) is not None
            and guest.attached(pid, bridge(spec.lab))
        )

    def _lower(self, spec: HostSpec) -> list[str]:
        return [str(layer) for layer in self._images.layers(spec.image)]

    def _stop(self, spec: HostSpec, budget: Budget, *, graceful: bool = False) -> None:
        group = HostGroup(spec.lab, spec.name)
        if graceful:
            guest.power_off(group, _STOP_SECONDS, budget)
        guest.kill(group, budget)
        _forget_supervisor(spec.lab, spec.name, budget)
        unmount_below(self._home(spec) / "root", budget)

    def _mount(self, spec: HostSpec, budget: Budget) -> None:
        if not self._images.sound(spec.image):
            raise LabError(
                f"host {spec.name}: its image {spec.image} is missing or damaged; `pulumi up` rebuilds it"
            )
        home = self._home(spec)
        record = self._record(spec)
        new = record.get("image") != spec.image or not record.get("seeded")
        if new and home.exists():
            shutil.rmtree(home)
        for part in ("upper", "work", "root"):
            (home / part).mkdir(parents=True, exist_ok=True)
        lower = ":".join(self._lower(spec))
        options = f"lowerdir={lower},upperdir={home / 'upper'},workdir={home / 'work'}"
        run(["mount", "-t", "overlay", "overlay", "-o", options, home / "root"], budget)
        if new:
            seed.seed_first(home / "root", spec)
        seed.seed_owned(home / "root", spec)
        self._note(
            spec,
            image=spec.image,
            seeded=True,
            lower=self._lower(spec),
            boot=_boot_digest(spec),
            booted=False,
            adopted=not new,
        )

    def _await(self, spec: HostSpec, group: HostGroup, budget: Budget) -> None:
        try:
            failed = guest.await_boot(group, spec.address, budget)
        except LabError as error:
            console = (
                (self._home(spec) / "console").read_text(encoding="utf-8", errors="replace").strip()[-500:]
            )
            raise UnhealthyError(
                (f"host {spec.name}: {error}; console: {console or 'nothing'}",), self.foresee(spec)
            ) from error
        if failed and not self._record(spec).get("adopted"):
            raise UnhealthyError(
                (f"host {spec.name}: failed units: {', '.join(failed)}",), self.foresee(spec)
            )
        if failed:
            # Configured before: a service that misses a peer at boot is for the roles to mend.
            _log.warning("host %s came back with failed units: %s", spec.name, ", ".join(failed))
        self._note(spec, booted=True)


def remove_host(paths: Paths, lab: str, name: str, budget: Budget) -> None:
    """End what is left of a host and remove its files and cgroups; nothing there is fine."""
    group = HostGroup(lab, name)
    guest.kill(group, budget)
    home = paths.host(lab, name)
    unmount_below(home, budget)
    _forget_supervisor(lab, name, budget)
    group.remove(budget)
    if home.exists():
        shutil.rmtree(home)
    remove_if_empty(home.parent)


def _forget_supervisor(lab: str, name: str, budget: Budget) -> None:
    """Remove what a killed systemd-nspawn leaves; that of Debian 13 refuses to start again beside it."""
    for kind in ("propagate", "unix-export"):
        leftover = _NSPAWN_RUNTIME / kind / machine_name(lab, name)
        unmount_below(leftover, budget)
        shutil.rmtree(leftover, ignore_errors=True)


def _boot_digest(spec: HostSpec) -> str:
    facts = spec.model_dump_json(include={"image", "address", "subnet", "mounts", "host_key_private"})
    return hashlib.sha256(facts.encode()).hexdigest()
