# SPDX-License-Identifier: Apache-2.0
"""The lab's backend on this machine keeps the contract, and mends what faults do to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.lab.core.backend import LabBackend
from infra.lab.core.errors import LabError
from infra.lab.core.model import (
    HostSpec,
    HostState,
    ImageSpec,
    ImageState,
    NetworkSpec,
    NetworkState,
    VolumeState,
)
from infra.lab.core.nspawn.backend import NspawnBackend
from infra.lab.core.nspawn.cgroup import hierarchies, host_groups
from infra.lab.core.nspawn.guest import leader
from infra.lab.core.nspawn.image_tree import ImageTrees
from infra.lab.core.nspawn.mounts import unmount_below
from infra.lab.core.nspawn.paths import Paths, bridge
from infra.lab.core.process import run
from tests.lab.provider_world import PATHS, World, connects, group_of, in_guest, leader_of, sweep
from tests.traces import left_behind, snapshot
from tests.unit.test_lab_contract import LAB, NETWORK, VOLUME, LabContract, budget

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900)]


class TestMachine(LabContract):
    """The contract, on this machine."""

    @pytest.fixture(scope="class")
    def backend(self) -> Iterator[LabBackend]:
        """The real one; its traces are compared before and after."""
        sweep()
        before = snapshot()
        yield NspawnBackend()
        sweep()
        assert host_groups(LAB) == set()
        assert not [group for group in hierarchies() if (group / "perennial" / LAB).exists()]
        traces = left_behind(before, snapshot(), LAB)
        assert {kind: [line for line in lines if LAB in line] for kind, lines in traces.items()} == {
            kind: [] for kind in traces
        }


class TestFaults(World):
    """Every fault ends in a whole lab after the next create, or in a message that says what to do."""

    def test_a_killed_guest_comes_back_with_its_files(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState
    ) -> None:
        """The most common fault."""
        os.kill(leader_of(spec), signal.SIGKILL)
        time.sleep(0.5)
        self.assert_heals(backend, spec, running)

    def test_a_guest_without_supervisor_is_noticed(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState
    ) -> None:
        """It would run on, but never come back from a reboot."""
        names = {
            pid: Path(f"/proc/{pid}/comm").read_text("utf-8").strip() for pid in group_of(spec).processes()
        }
        os.kill(next(pid for pid, name in names.items() if name == "systemd-nspawn"), signal.SIGKILL)
        time.sleep(0.2)
        self.assert_heals(backend, spec, running)

    def test_an_unmounted_tree_is_mounted_again(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState
    ) -> None:
        """The guest still has the mount; the machine does not."""
        run(["umount", "--lazy", PATHS.host(LAB, spec.name) / "root"], budget())
        self.assert_heals(backend, spec, running)

    def test_a_reboot_from_inside_is_no_drift(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState
    ) -> None:
        """Patching reboots hosts; the platform's state must not change by it."""
        before = leader_of(spec)
        in_guest(spec, "systemctl --no-block reboot")
        end = time.monotonic() + 30
        while leader(group_of(spec)) in (before, None) and time.monotonic() < end:
            time.sleep(0.1)
        assert leader_of(spec) != before
        assert backend.hosts.read(running, budget()) == running

    def test_a_reboot_of_the_machine_loses_nothing(
        self,
        backend: NspawnBackend,
        spec: HostSpec,
        running: HostState,
        network: NetworkState,
        volume: VolumeState,
    ) -> None:
        """All processes, mounts, links and rules are gone; files on disk are not."""
        group = group_of(spec)
        group.kill(budget())
        group.remove(budget())
        unmount_below(PATHS.lab(LAB), budget())
        run(["ip", "link", "delete", bridge(LAB)], budget())
        run(["nft", "delete", "table", "inet", f"perennial_{LAB}"], budget())
        assert backend.networks.read(network, budget()) is None
        assert backend.volumes.read(volume, budget()) is None
        backend.networks.create(NETWORK, budget())
        backend.volumes.create(VOLUME, budget())
        self.assert_heals(backend, spec, running)

    @pytest.mark.parametrize("damage", ["changed", "removed", "added", "all gone"])
    def test_a_damaged_image_is_built_again_and_its_hosts_restarted(
        self, damage: str, backend: NspawnBackend, spec: HostSpec, running: HostState, image: ImageState
    ) -> None:
        """Also while a host runs on it, whose tree must not be pulled away."""
        program = ImageTrees(PATHS).tree(image.hash) / "usr/bin/hello"
        damages: dict[str, Callable[[], object]] = {
            "changed": lambda: program.write_bytes(b"X" * program.stat().st_size),
            "removed": program.unlink,
            "added": lambda: (program.parent / "hello2").write_text("new", "utf-8"),
            "all gone": lambda: run(["rm", "-rf", PATHS.images / image.hash], budget()),
        }
        damages[damage]()
        fresh = NspawnBackend()  # another command: it trusts no earlier look
        assert fresh.images.read(image, budget()) is None
        assert fresh.hosts.read(running, budget()) is None
        definition = ImageSpec.model_validate(image.model_dump(exclude={"hash"}))
        assert fresh.images.create(definition, budget()) == image
        self.assert_heals(fresh, spec, running)
        assert in_guest(spec, "hello") == "Hello, world!\n"

    def test_a_killed_build_leaves_nothing_that_counts(
        self, backend: NspawnBackend, image: ImageState
    ) -> None:
        """The builder's processes end with it, and the next create builds afresh."""
        code = (
            "import sys; from infra.lab.core.nspawn.backend import NspawnBackend as B;"
            "from infra.lab.core.model import ImageSpec; from infra.lab.core.process import Budget;"
            f"B().images.create(ImageSpec(lab='{LAB}', name='cut', base='{image.base}',"
            " packages=('figlet',)), Budget(300))"
        )
        builder = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
        spec = ImageSpec(lab=LAB, name="cut", base=image.base, packages=("figlet",))
        home = PATHS.images / backend.images.foresee(spec).hash
        while not (home.exists() and list(home.glob("*/root/usr"))):
            assert builder.poll() is None
            time.sleep(0.02)
        builder.kill()
        builder.wait()
        time.sleep(0.5)
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
        assert not [line for line in lines if str(home).encode() in line]
        assert not backend.images.sound(home.name)
        state = backend.images.create(spec, budget())
        assert backend.images.sound(home.name)
        assert len([path for path in home.iterdir() if path.is_dir()]) == 1
        backend.images.delete(state, budget())
        assert not home.exists()

    def test_a_removed_bridge_is_made_again_with_its_hosts_on_it(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState, network: NetworkState
    ) -> None:
        """A host that nobody can reach is not there."""
        run(["ip", "link", "delete", bridge(LAB)], budget())
        assert backend.networks.read(network, budget()) is None
        backend.networks.create(NETWORK, budget())
        self.assert_heals(backend, spec, running)
        assert connects(spec, spec.gateway, 3143)

    def test_a_taken_cache_port_is_named_with_the_nearest_free_one(self, tmp_path: Path) -> None:
        """Another program's port is not ours to end."""
        with socket.socket() as other:
            other.bind(("0.0.0.0", 0))  # noqa: S104 - the very address the cache would take
            other.listen()
            port = other.getsockname()[1]
            separate = NspawnBackend(Paths(tmp_path / "lib", tmp_path / "cache", tmp_path / "run"))
            spec = NetworkSpec(lab="tport", subnet="10.85.8.0/24", gateway="10.85.8.1", cache_port=port)
            with pytest.raises(LabError, match=rf"port {port} is in use .*nearest free one, \d+"):
                separate.networks.create(spec, budget())
            separate.networks.delete(separate.networks.foresee(spec), budget())

    def test_a_full_disk_is_named_before_a_build(self, tmp_path: Path) -> None:
        """A build that ends half way through the unpacking would say less."""
        small = tmp_path / "lib"
        small.mkdir()
        run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", small], budget())
        try:
            separate = NspawnBackend(Paths(small, tmp_path / "cache", tmp_path / "run"))
            with pytest.raises(LabError, match=r"0\.1 GiB free and a build needs"):
                separate.images.create(ImageSpec(lab="tfull", name="system"), budget())
        finally:
            run(["umount", small], budget())

    def test_network_delete_removes_hosts_that_no_state_knows(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState, network: NetworkState
    ) -> None:
        """A killed engine forgets what it just made; destroy must not."""
        backend.networks.delete(network, budget())
        assert host_groups(LAB) == set()
        assert not PATHS.lab(LAB).exists()
        assert backend.hosts.read(running, budget()) is None
