# SPDX-License-Identifier: Apache-2.0
"""Parts of the machine backend that need no machine: cgroups of both kinds, locks, names, limits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.lab.core.errors import CancelledError, DeadlineError, LabError
from infra.lab.core.model import ImageSpec
from infra.lab.core.nspawn.cgroup import HostGroup, hierarchies
from infra.lab.core.nspawn.files import locked
from infra.lab.core.nspawn.firewall import table_name
from infra.lab.core.nspawn.machine import WANTED, Machine
from infra.lab.core.nspawn.manifest import manifest
from infra.lab.core.nspawn.paths import Paths, bridge
from infra.lab.core.nspawn.recipe import definition_hash
from infra.lab.core.process import Budget, run


@pytest.fixture
def unified(tmp_path: Path) -> Path:
    """A unified hierarchy, as files."""
    (tmp_path / "cgroup.controllers").write_text("memory cpu pids", "ascii")
    return tmp_path


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A machine with one hierarchy for each controller, as files."""
    for name in ("memory", "cpu", "cpuset", "systemd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    return tmp_path


def test_limits_on_a_unified_machine_stand_on_the_host_and_controllers_above_it(unified: Path) -> None:
    """A group passes a controller on only when each group above does; its own processes sit in leaves."""
    group = HostGroup("dev", "h1", unified)
    group.create(512, 1.5)
    host = unified / "perennial/dev/h1"
    assert (host / "memory.max").read_text("ascii") == str(512 * 1024 * 1024)
    assert (host / "cpu.max").read_text("ascii") == "150000 100000"
    for path in (unified, unified / "perennial", unified / "perennial/dev", host):
        assert (path / "cgroup.subtree_control").read_text("ascii") == "+memory +cpu +pids"
    assert not (host / "guest/cgroup.subtree_control").exists()
    assert group.members("guest") == [host / "guest/cgroup.procs"]


def test_limits_on_a_split_machine_stand_in_their_hierarchies(split: Path) -> None:
    """The guest joins all hierarchies, or its units would mix with another guest's."""
    group = HostGroup("dev", "h1", split)
    group.create(512, 0.5)
    assert (split / "memory/perennial/dev/h1/memory.limit_in_bytes").read_text("ascii") == str(
        512 * 1024 * 1024
    )
    assert (split / "cpu/perennial/dev/h1/cpu.cfs_quota_us").read_text("ascii") == "50000"
    assert [path.relative_to(split).parts[0] for path in group.members("guest")] == [
        "cpu",
        "cpuset",
        "memory",
        "systemd",
    ]


def test_a_machine_without_cgroups_is_told_so(tmp_path: Path) -> None:
    """The message names the path."""
    with pytest.raises(LabError, match="no cgroup hierarchy"):
        hierarchies(tmp_path)


def test_a_lock_excludes_and_leaves_no_file(tmp_path: Path) -> None:
    """Many threads count without losing a step, and the directory is empty afterwards."""
    counter = {"value": 0}
    path = tmp_path / "run" / "x.lock"

    def step() -> None:
        for _ in range(50):
            with locked(path, Budget(30)):
                seen = counter["value"]
                threading.Event().wait(0.0002)
                counter["value"] = seen + 1

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter["value"] == 200
    assert not list(path.parent.iterdir())


def test_a_held_lock_ends_in_a_message_that_names_it(tmp_path: Path) -> None:
    """A second command must not wait for ever."""
    path = tmp_path / "host-dev-h1.lock"
    with (
        locked(path, Budget(5)),
        pytest.raises(DeadlineError, match=r"host-dev-h1\.lock"),
        locked(path, Budget(0.2)),
    ):
        pass


def test_a_cancelled_program_is_ended(tmp_path: Path) -> None:
    """Ctrl-C must not wait for an image."""
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    with pytest.raises(CancelledError, match="run the same command again"):
        run(["sleep", "60"], Budget(60, cancelled))


def test_a_missing_program_is_named() -> None:
    """With the command that brings it."""
    with pytest.raises(LabError, match=r"no-such-program is not installed .*make setup"):
        run(["no-such-program"], Budget(5))


def test_children_see_no_variable_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi's passphrase is among them."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "planted-passphrase")
    assert "planted" not in run(["env"], Budget(5))


def test_the_inotify_limit_is_raised_once_and_put_back(tmp_path: Path) -> None:
    """The machine is as before when the last lab is gone."""
    setting = tmp_path / "max_user_instances"
    setting.write_text("128\n", "ascii")
    paths = Paths(tmp_path / "lib", tmp_path / "cache", tmp_path / "run")
    machine = Machine(paths, setting)
    machine.prepare(Budget(5))
    machine.prepare(Budget(5))
    assert int(setting.read_text("ascii")) == WANTED
    paths.lab("dev").mkdir(parents=True)
    machine.restore(Budget(5))
    assert int(setting.read_text("ascii")) == WANTED
    paths.lab("dev").rmdir()
    machine.restore(Budget(5))
    assert setting.read_text("ascii") == "128\n"


@pytest.mark.parametrize("act", ["write", "chmod", "add", "remove", "rename"])
def test_a_manifest_notices_every_change(tmp_path: Path, act: str) -> None:
    """What it promises."""
    (tmp_path / "d").mkdir()
    file = tmp_path / "d" / "file"
    file.write_text("same size 1", "ascii")
    before = manifest(tmp_path)
    assert manifest(tmp_path) == before
    acts: dict[str, Callable[[], object]] = {
        "write": lambda: file.write_text("same size 2", "ascii"),
        "chmod": lambda: file.chmod(0o4755),
        "add": (tmp_path / "d" / "other").touch,
        "remove": file.unlink,
        "rename": lambda: file.rename(tmp_path / "d" / "other"),
    }
    acts[act]()
    assert manifest(tmp_path) != before


def test_names_fit_the_kernel() -> None:
    """A link has 15 characters; an nftables name has no hyphen."""
    assert len(bridge("a" * 12)) == 15
    assert table_name("my-lab") == "perennial_my_lab"


def test_the_hash_follows_suite_packages_and_base() -> None:
    """And nothing else: not the lab, not the name, not the order."""
    spec = ImageSpec(lab="a", name="x", packages=("git", "curl"))
    same = ImageSpec(lab="b", name="y", packages=("curl", "git"), cache_port=3199)
    assert definition_hash(spec) == definition_hash(same)
    others: list[dict[str, object]] = [{"suite": "forky"}, {"packages": ("git",)}, {"base": "0" * 24}]
    assert (
        len({definition_hash(spec.model_copy(update=other)) for other in others} | {definition_hash(spec)})
        == 4
    )
