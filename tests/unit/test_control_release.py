# SPDX-License-Identifier: GPL-3.0-or-later
"""The release on a control host: every damaged file is seen, and what was sent is what is installed."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

ROLE = Path(__file__).resolve().parents[2] / "roles" / "control"


def loaded(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a plug-in of the role as a module."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="module")
def fixture_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module that runs on hosts."""
    return loaded("control_release", ROLE / "library" / "control_release.py", monkeypatch)


@pytest.fixture(name="action")
def fixture_action(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the action that runs where the playbook runs."""
    return loaded("control_release_action", ROLE / "action_plugins" / "control_release.py", monkeypatch)


def archive() -> bytes:
    """Return a small release as a tar archive: a file, a program and a link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, mode in (("README.md", 0o644), ("infra/run.py", 0o755)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(name), mode
            made.addfile(info, io.BytesIO(name.encode()))
        link = tarfile.TarInfo("latest")
        link.type, link.linkname = tarfile.SYMTYPE, "README.md"
        made.addfile(link)
    return buffer.getvalue()


@pytest.fixture(name="installed")
def fixture_installed(module: Any, action: Any, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """Return the directory of an installed release and its manifest."""
    manifest = action.manifest_of(archive())
    directory = tmp_path / "release"
    (directory / "infra").mkdir(parents=True)
    for name, mode in (("README.md", 0o644), ("infra/run.py", 0o755)):
        (directory / name).write_text(name)
        (directory / name).chmod(mode)
    (directory / "latest").symlink_to("README.md")
    (directory / module.MANIFEST).write_text(json.dumps(manifest))
    (directory / module.RELEASE).write_text("{}")
    return directory, manifest


def test_what_was_sent_is_what_the_host_finds(module: Any, installed: tuple[Path, dict[str, Any]]) -> None:
    """Both sides describe a file in the same words; byte code and links of ours do not count."""
    directory, manifest = installed
    (directory / "infra" / "__pycache__").mkdir()
    (directory / "infra" / "__pycache__" / "run.pyc").write_text("x")
    (directory / ".venv").symlink_to("/nowhere")
    assert manifest["infra/run.py"][0] == "exec"
    assert manifest["latest"] == ["link", "README.md"]
    assert not module.release_differs(directory, manifest)


@pytest.mark.parametrize("damage", ["changed", "missing", "added", "mode", "link", "no identity"])
def test_every_damage_is_seen(module: Any, installed: tuple[Path, dict[str, Any]], damage: str) -> None:
    """A control host with one altered file would act on the fleet with it."""
    directory, manifest = installed
    match damage:
        case "changed":
            (directory / "README.md").write_text("other")
        case "missing":
            (directory / "README.md").unlink()
        case "added":
            (directory / "infra" / "more.py").write_text("x")
        case "mode":
            (directory / "infra" / "run.py").chmod(0o644)
        case "link":
            (directory / "latest").unlink()
            (directory / "latest").symlink_to("infra/run.py")
        case _:
            (directory / module.RELEASE).unlink()
    assert module.release_differs(directory, manifest)


@pytest.fixture(name="environment")
def fixture_environment(module: Any, tmp_path: Path) -> Path:
    """Return a virtual environment with one package and its record."""
    python = Path("/usr/bin/python3").resolve().name
    packages = tmp_path / "venv" / "lib" / python / "site-packages"
    (packages / "one-1.dist-info").mkdir(parents=True)
    (packages / "one.py").write_text("12345")
    (packages / "one-1.dist-info" / "RECORD").write_text("one.py,sha256=x,5\none-1.dist-info/RECORD,,\n")
    (tmp_path / "venv" / "bin").mkdir()
    (tmp_path / "venv" / "bin" / "python").touch()
    complete = {"python": python, "packages": ["one-1.dist-info"]}
    (tmp_path / "venv" / module.COMPLETE).write_text(json.dumps(complete))
    return tmp_path / "venv"


def test_a_whole_environment_is_left_alone(module: Any, environment: Path) -> None:
    """Making it anew costs the longest part of a converge."""
    assert not module.environment_differs(environment)


@pytest.mark.parametrize("damage", ["one.py", "one-1.dist-info/RECORD", "size", "python", "complete"])
def test_a_damaged_environment_is_seen(module: Any, environment: Path, damage: str) -> None:
    """An interrupted install and a deleted file look alike to whoever needs the package."""
    packages = next(environment.glob("lib/*/site-packages"))
    if damage == "size":
        (packages / "one.py").write_text("123456")
    elif damage == "python":
        (environment / "bin" / "python").unlink()
    elif damage == "complete":
        (environment / module.COMPLETE).write_text('{"python"')
    else:
        (packages / damage).unlink()
    assert module.environment_differs(environment)


def test_links_that_lead_elsewhere_are_seen(module: Any, tmp_path: Path) -> None:
    """`current` decides which release acts."""
    places = module.Places(tmp_path, "abc", "0" * 64, tmp_path / "state")
    places.release.mkdir(parents=True)
    assert {link.name for link in module.wrong_links(places)} == {".venv", ".state", "current"}
    for link, target in places.links().items():
        module.put_link(link, target)
    assert module.wrong_links(places) == []
    module.put_link(tmp_path / "current", tmp_path)
    assert [link.name for link in module.wrong_links(places)] == ["current"]


def test_only_newer_releases_and_environments_in_use_stay(module: Any, tmp_path: Path) -> None:
    """Each release is small, each environment is not."""
    for index, commit in enumerate(["a", "b", "c", "d"]):
        places = module.Places(tmp_path, commit, commit * 64, tmp_path / "state")
        places.release.mkdir(parents=True)
        places.environment.mkdir(parents=True)
        module.put_link(places.release / ".venv", places.environment)
        __import__("os").utime(places.release, (index, index))
    module.prune(places, 2)
    assert sorted(path.name for path in (tmp_path / "releases").iterdir()) == ["b", "c", "d"]
    assert len(list((tmp_path / "venvs").iterdir())) == 3


def test_a_damaged_release_is_not_its_own_source(action: Any) -> None:
    """A control host that converges itself has no archive; it must say where to go."""
    plugin = action.ActionModule.__new__(action.ActionModule)
    release = action.Release("c", "v1", {}, None, dirty=False)
    with pytest.raises(AnsibleActionFail, match="make converge"):
        plugin._needed(release, "0" * 64, ["release"])
