# SPDX-License-Identifier: Apache-2.0
"""The lab's backend on this machine keeps the contract, and mends what faults do to it."""

from __future__ import annotations

import json
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
from infra.lab.core.nspawn.cgroup import HostGroup, hierarchies, host_groups
from infra.lab.core.nspawn.guest import inside, leader
from infra.lab.core.nspawn.image_tree import ImageTrees
from infra.lab.core.nspawn.mounts import unmount_below
from infra.lab.core.nspawn.paths import Paths, bridge
from infra.lab.core.process import run
from tests.traces import left_behind, snapshot
from tests.unit.test_lab_contract import LAB, NETWORK, VOLUME, LabContract, budget

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900)]
PATHS = Paths()


def _sweep() -> None:
    """Remove this test's lab, also one that an interrupted test run left."""
    backend = NspawnBackend()
    backend.networks.delete(backend.networks.foresee(NETWORK), budget())


def _group(spec: HostSpec) -> HostGroup:
    return HostGroup(spec.lab, spec.name)


def _leader(spec: HostSpec) -> int:
    pid = leader(_group(spec))
    assert pid is not None
    return pid


def _in_guest(spec: HostSpec, command: str) -> str:
    return run(inside(_leader(spec), "sh", "-c", command), budget())


def _connects(spec: HostSpec, address: str, port: int) -> bool:
    attempt = f"timeout 1 bash -c 'echo > /dev/tcp/{address}/{port}' 2>/dev/null && echo yes || echo no"
    return _in_guest(spec, attempt) == "yes\n"


def _addresses_of_this_machine() -> list[str]:
    links = json.loads(run(["ip", "-json", "-4", "address"], budget()))
    found = [info["local"] for link in links for info in link["addr_info"]]
    return [address for address in found if not address.startswith("127.")]


class TestMachine(LabContract):
    """The contract, on this machine."""

    @pytest.fixture(scope="class")
    def backend(self) -> Iterator[LabBackend]:
        """The real one; its traces are compared before and after."""
        _sweep()
        before = snapshot()
        yield NspawnBackend()
        _sweep()
        assert host_groups(LAB) == set()
        assert not [group for group in hierarchies() if (group / "perennial" / LAB).exists()]
        traces = left_behind(before, snapshot())
        assert {kind: [line for line in lines if LAB in line] for kind, lines in traces.items()} == {
            kind: [] for kind in traces
        }


class TestFaults:
    """Every fault ends in a whole lab after the next create, or in a message that says what to do."""

    @pytest.fixture(scope="class")
    def backend(self) -> Iterator[NspawnBackend]:
        """The real one."""
        _sweep()
        yield NspawnBackend()
        _sweep()

    @pytest.fixture(scope="class")
    def network(self, backend: NspawnBackend) -> NetworkState:
        """The lab's network."""
        return backend.networks.create(NETWORK, budget())

    @pytest.fixture(scope="class")
    def volume(self, backend: NspawnBackend, network: NetworkState) -> VolumeState:
        """A data volume."""
        return backend.volumes.create(VOLUME, budget())

    @pytest.fixture(scope="class")
    def image(self, backend: NspawnBackend, network: NetworkState) -> ImageState:
        """A small layer of this test's own over the base system that all labs share."""
        base = backend.images.create(ImageSpec(lab=LAB, name="system"), budget())
        return backend.images.create(
            ImageSpec(lab=LAB, name="own", base=base.hash, packages=("hello",)), budget()
        )

    @pytest.fixture
    def spec(self, network: NetworkState, image: ImageState, volume: VolumeState) -> HostSpec:
        """One host with the volume."""
        return LabContract.host_spec(network, image, volume)

    @pytest.fixture
    def running(self, backend: NspawnBackend, spec: HostSpec) -> HostState:
        """The host, running, with a file in its tree and one on its volume."""
        state = backend.hosts.create(spec, budget())
        _in_guest(spec, "echo tree > /etc/marker; echo data > /srv/data/marker; sync")
        return state

    def _assert_heals(self, backend: NspawnBackend, spec: HostSpec, running: HostState) -> None:
        assert backend.hosts.read(running, budget()) is None
        assert backend.hosts.create(spec, budget()) == running
        assert backend.hosts.read(running, budget()) == running
        assert _in_guest(spec, "cat /etc/marker /srv/data/marker") == "tree\ndata\n"

    def test_a_killed_guest_comes_back_with_its_files(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState
    ) -> None:
        """The most common fault."""
        os.kill(_leader(spec), signal.SIGKILL)
        time.sleep(0.5)
        self._assert_heals(backend, spec, running)

    def test_a_guest_without_supervisor_is_noticed(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState
    ) -> None:
        """It would run on, but never come back from a reboot."""
        names = {
            pid: Path(f"/proc/{pid}/comm").read_text("utf-8").strip() for pid in _group(spec).processes()
        }
        os.kill(next(pid for pid, name in names.items() if name == "systemd-nspawn"), signal.SIGKILL)
        time.sleep(0.2)
        self._assert_heals(backend, spec, running)

    def test_an_unmounted_tree_is_mounted_again(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState
    ) -> None:
        """The guest still has the mount; the machine does not."""
        run(["umount", "--lazy", PATHS.host(LAB, spec.name) / "root"], budget())
        self._assert_heals(backend, spec, running)

    def test_a_reboot_from_inside_is_no_drift(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState
    ) -> None:
        """Patching reboots hosts; the platform's state must not change by it."""
        before = _leader(spec)
        _in_guest(spec, "systemctl --no-block reboot")
        end = time.monotonic() + 30
        while leader(_group(spec)) in (before, None) and time.monotonic() < end:
            time.sleep(0.1)
        assert _leader(spec) != before
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
        group = _group(spec)
        group.kill(budget())
        group.remove(budget())
        unmount_below(PATHS.lab(LAB), budget())
        run(["ip", "link", "delete", bridge(LAB)], budget())
        run(["nft", "delete", "table", "inet", f"perennial_{LAB}"], budget())
        assert backend.networks.read(network, budget()) is None
        assert backend.volumes.read(volume, budget()) is None
        backend.networks.create(NETWORK, budget())
        backend.volumes.create(VOLUME, budget())
        self._assert_heals(backend, spec, running)

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
        self._assert_heals(fresh, spec, running)
        assert _in_guest(spec, "hello") == "Hello, world!\n"

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

    def test_limits_are_in_force(self, backend: NspawnBackend, spec: HostSpec, running: HostState) -> None:
        """Memory beyond the limit is refused by the kernel, in this host alone."""
        result = run(
            [*inside(_leader(spec), "sh", "-c", "python3 -c 'b = bytearray(400 << 20)'; echo exit $?")],
            budget(),
        )
        assert "exit 0" in result  # nsenter starts in the caller's cgroup, so this one is not limited
        limited = _in_guest(
            spec, "systemd-run --quiet --wait --pipe python3 -c 'b = bytearray(400 << 20)' || echo no"
        )
        assert limited == "no\n"

    def test_a_guest_reaches_the_cache_and_nothing_else_of_the_machine(
        self, spec: HostSpec, running: HostState
    ) -> None:
        """No other way out (design, section 3): not to other services here, nor through to other networks."""
        with socket.socket() as service:
            service.bind(("0.0.0.0", 0))  # noqa: S104 - on every address, as many services are
            service.listen()
            port = service.getsockname()[1]
            with socket.create_connection((spec.gateway, port), timeout=2):
                pass  # the service is there, so that what follows shows the firewall and not its absence
            _in_guest(spec, f"ip route replace default via {spec.gateway}")
            assert _connects(spec, spec.gateway, 3143)
            assert not _connects(spec, spec.gateway, port)
            others = [address for address in _addresses_of_this_machine() if address != spec.gateway]
            assert others
            assert not [address for address in others if _connects(spec, address, port)]
            assert not [address for address in others if _connects(spec, address, 3143)]

    def test_labs_do_not_reach_each_other(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState
    ) -> None:
        """Also when a guest sets a route of its own and the machine forwards."""
        other = NetworkSpec(lab="tprov2", subnet="10.85.9.0/24", gateway="10.85.9.1")
        away = spec.model_copy(
            update={
                "lab": "tprov2",
                "address": "10.85.9.11",
                "subnet": other.subnet,
                "gateway": other.gateway,
                "mounts": (),
            }
        )
        forward = Path("/proc/sys/net/ipv4/ip_forward")
        before = forward.read_text("ascii")
        backend.networks.create(other, budget())
        try:
            backend.hosts.create(away, budget())
            forward.write_text("1", "ascii")
            for here, there in ((spec, away), (away, spec)):
                _in_guest(here, f"ip route replace default via {here.gateway}")
                assert not _connects(here, there.address, 22)
        finally:
            forward.write_text(before, "ascii")
            backend.networks.delete(backend.networks.foresee(other), budget())

    def test_a_removed_bridge_is_made_again_with_its_hosts_on_it(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState, network: NetworkState
    ) -> None:
        """A host that nobody can reach is not there."""
        run(["ip", "link", "delete", bridge(LAB)], budget())
        assert backend.networks.read(network, budget()) is None
        backend.networks.create(NETWORK, budget())
        self._assert_heals(backend, spec, running)
        assert _connects(spec, spec.gateway, 3143)

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
