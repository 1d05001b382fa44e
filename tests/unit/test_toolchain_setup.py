# SPDX-License-Identifier: Apache-2.0
"""Set-up looks at the real thing, takes the first way that works, and survives an interrupt."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.toolchain import go, pulumi_cli, venv
from infra.toolchain.errors import ConfigurationError
from infra.toolchain.paths import CHECKOUT, Paths

LOCK = """alpha==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
uv==0.9.1 \\
    --hash=sha256:cc
uvloop==1 \\
    --hash=sha256:dd
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Paths:
    """A checkout whose environment holds what its lock says."""
    paths = Paths(tmp_path)
    paths.lock.parent.mkdir()
    paths.lock.write_text(LOCK)
    libraries = paths.venv / "lib" / "python3.11" / "site-packages"
    for name in ("alpha-1.0", "uv-0.9.1"):
        (libraries / f"{name}.dist-info").mkdir(parents=True)
        (libraries / f"{name}.dist-info" / "RECORD").write_text("")
    paths.python.parent.mkdir()
    paths.python.symlink_to(sys.executable)
    venv._write_record(paths)
    return paths


def test_environment_that_fits_its_lock_is_current(checkout: Paths) -> None:
    """Otherwise every target would install again."""
    assert venv.is_current(checkout)


def test_environment_is_not_current_after_the_lock_changed(checkout: Paths) -> None:
    """A pulled commit brings other libraries."""
    checkout.lock.write_text(LOCK.replace("1.0", "1.1"))
    assert not venv.is_current(checkout)


def test_removed_library_is_noticed(checkout: Paths) -> None:
    """No stamp replaces looking."""
    shutil.rmtree(next(checkout.venv.glob("lib/*/site-packages/alpha-1.0.dist-info")))
    assert not venv.is_current(checkout)


def test_interrupted_installation_is_noticed(checkout: Paths) -> None:
    """Installers write RECORD last, and ours removes its record first."""
    (checkout.venv / "perennial.json").unlink()
    assert not venv.is_current(checkout)


def test_interpreter_that_is_gone_is_noticed(checkout: Paths) -> None:
    """An upgrade of the system's Python leaves a dangling link."""
    checkout.python.unlink()
    checkout.python.symlink_to("/nonexistent/python3.10")
    assert not venv.is_current(checkout)


def test_half_made_environment_is_made_again(checkout: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut short before its installer came, it runs but nothing can be installed into it."""
    monkeypatch.setattr(venv, "_has_module", lambda _paths, name: name == "pip")
    assert venv.is_usable(checkout)
    monkeypatch.setattr(venv, "_has_module", lambda _paths, _name: False)
    assert not venv.is_usable(checkout)


def test_requirement_takes_one_entry_with_all_its_hashes() -> None:
    """The bootstrap must be as strict as the lock, and `uv` is not `uvloop`."""
    assert venv.requirement(LOCK, "uv") == "uv==0.9.1 \\\n    --hash=sha256:cc\n"
    assert venv.requirement(LOCK, "alpha").count("sha256") == 2
    with pytest.raises(ConfigurationError, match="make lock"):
        venv.requirement(LOCK, "beta")


def test_launcher_and_path_belong_to_the_checkout(checkout: Paths) -> None:
    """`.venv/bin/perennial` runs from the checkout, wherever it is called."""
    venv.link_checkout(checkout)
    launcher = checkout.venv / "bin" / "perennial"
    assert launcher.read_text().startswith(f"#!{checkout.python}\n")
    assert os.access(launcher, os.X_OK)
    assert next(checkout.venv.glob("lib/*/site-packages/perennial.pth")).read_text() == f"{checkout.root}\n"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.220.0\n", (3, 220, 0)),
        ("3.230.1-alpha.1+x", (3, 230, 1)),
        ("", None),
        ("dev", None),
        ("v3.2", None),
    ],
)
def test_pulumi_version_is_read(text: str, version: tuple[int, int, int] | None) -> None:
    """A CLI built without its version prints nothing, and the Automation API then refuses it."""
    assert pulumi_cli.parse_version(text) == version


@pytest.mark.parametrize(
    ("version", "usable"),
    [(None, False), ((3, 219, 0), False), ((3, 220, 0), True), ((3, 300, 0), True), ((4, 0, 0), False)],
)
def test_only_tested_versions_are_used(version: tuple[int, int, int] | None, usable: bool) -> None:
    """The floor is what tests run with; another major line may change the protocol."""
    assert pulumi_cli.is_usable(version) is usable


def test_wrappers_on_path_are_not_taken_for_the_cli(tmp_path: Path) -> None:
    """A wrapper copied beside the language host would call itself, or need its own checkout."""
    wrapper, real = tmp_path / "wrapper" / "pulumi", tmp_path / "real" / "pulumi"
    for file, content in ((wrapper, b"#!/bin/sh\n"), (real, b"\x7fELF...")):
        file.parent.mkdir()
        file.write_bytes(content)
        file.chmod(0o755)
    search = os.pathsep.join([str(wrapper.parent), str(real.parent)])
    checkout = Paths(tmp_path / "checkout")
    assert pulumi_cli.on_path(checkout, search) == real
    assert pulumi_cli.on_path(checkout, str(wrapper.parent)) is None
    assert pulumi_cli.on_path(Paths(tmp_path), search) is None


def test_cli_on_path_is_copied_again_when_it_changes(tmp_path: Path) -> None:
    """A new version installed by the user is the one to use."""
    paths, binary = Paths(tmp_path / "checkout"), tmp_path / "pulumi"
    binary.write_bytes(b"old")
    pulumi_cli._place(paths, binary, pulumi_cli._identity(binary))
    assert pulumi_cli._same_as_on_path(paths, binary)
    binary.write_bytes(b"newer")
    assert not pulumi_cli._same_as_on_path(paths, binary)
    assert list(paths.pulumi.parent.glob("*.part")) == []


def test_commands_are_linked_relative(tmp_path: Path) -> None:
    """A moved checkout keeps working."""
    paths = Paths(tmp_path)
    pulumi_cli.link_commands(paths)
    pulumi_cli.link_commands(paths)
    assert str(paths.wrapper.readlink()) == "../../infra/toolchain/bin/pulumi"
    assert not (paths.pulumi.parent / "pulumi-language-python").readlink().is_absolute()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.19.8 linux/amd64", (1, 19, 8)),
        ("go version go1.24 linux/arm64", (1, 24, 0)),
        ("go version devel", None),
    ],
)
def test_go_version_is_read(text: str, version: tuple[int, ...] | None) -> None:
    """Debian 12's compiler must be told from one that updates itself."""
    assert go.parse_version(text) == version


def test_toolchain_needed_is_the_modules_own_line() -> None:
    """Two places that say the same version must not drift."""
    text = (CHECKOUT / "infra/toolchain/pulumi-cli/go.mod").read_text()
    wanted = ".".join(map(str, go.NEEDED))
    assert re.search(rf"^go {re.escape(wanted)}$", text, re.MULTILINE)
    assert f"github.com/pulumi/pulumi/pkg/v3 v{pulumi_cli.BUILT}\n" in text
    assert pulumi_cli.is_usable(pulumi_cli.parse_version(pulumi_cli.BUILT))


def test_unpacked_toolchain_runs_and_has_its_modules(tmp_path: Path) -> None:
    """A module archive carries neither modes nor nested go.mod files."""
    archive, prefix = tmp_path / "t.zip", "golang.org/toolchain@v0.0.1"
    with zipfile.ZipFile(archive, "w") as content:
        for name in ("bin/go", "pkg/tool/linux_amd64/link", "src/_go.mod", "src/fmt/print.go"):
            content.writestr(f"{prefix}/{name}", name)
        content.writestr("elsewhere/evil", "no")
    target = tmp_path / "go"
    go.unpack_toolchain(archive, prefix, target)
    assert os.access(target / "bin" / "go", os.X_OK)
    assert os.access(target / "pkg" / "tool" / "linux_amd64" / "link", os.X_OK)
    assert not os.access(target / "src" / "fmt" / "print.go", os.X_OK)
    assert (target / "src" / "go.mod").exists()
    assert sorted(item.name for item in target.iterdir()) == ["bin", "pkg", "src"]


def test_setup_runs_without_the_libraries_it_installs() -> None:
    """On a fresh machine there is only Debian's Python; `-S` takes site-packages away."""
    libraries = "[name for name in ('pydantic', 'psutil', 'pulumi') if name in sys.modules]"
    code = f"import infra.toolchain.setup, sys; print({libraries})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_package_list_has_known_purposes_and_no_repetition() -> None:
    """A purpose with a typing error would silently install nothing."""
    lines = (CHECKOUT / "infra/toolchain/packages.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    assert {row[0] for row in rows} == {"up", "check", "test", "bench"}
    names = [row[1] for row in rows]
    assert len(names) == len(set(names))


def test_wrapper_without_a_cli_names_the_mend(tmp_path: Path) -> None:
    """The first thing that somebody types in a fresh clone."""
    place = tmp_path / "infra" / "toolchain" / "bin"
    place.mkdir(parents=True)
    shutil.copy(CHECKOUT / "infra/toolchain/bin/pulumi", place)
    done = subprocess.run([str(place / "pulumi"), "up"], capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert "make -C" in done.stderr


FAKE_CLI = """#!/usr/bin/env python3
import json, os, pathlib, sys
if sys.argv[1:3] == ["stack", "init"]:
    folder = pathlib.Path(os.environ["PULUMI_BACKEND_URL"].removeprefix("file://"), ".pulumi/stacks/demo")
    folder.mkdir(parents=True)
    (folder / f"{sys.argv[3]}.json").write_text("{}")
    print("Created stack", sys.argv[3])
else:
    chosen = {k: v for k, v in os.environ.items() if k.startswith("PULUMI_")}
    print(json.dumps({"arguments": sys.argv[1:], "environment": chosen}))
"""


def test_wrapper_sets_home_backend_passphrase_and_stack(tmp_path: Path) -> None:
    """Plain `pulumi up` works: the stack is made on the way, arguments pass unchanged, no secret shows."""
    place, cli = tmp_path / "infra/toolchain/bin", tmp_path / ".tools/pulumi/pulumi"
    for folder in (place, cli.parent):
        folder.mkdir(parents=True)
    shutil.copy(CHECKOUT / "infra/toolchain/bin/pulumi", place)
    cli.write_text(FAKE_CLI)
    cli.chmod(0o755)
    (tmp_path / "Pulumi.yaml").write_text('name: "demo"\n')
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    command = [str(place / "pulumi"), "up", "--yes", "a b"]
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["arguments"] == ["up", "--yes", "a b"]
    environment = told["environment"]
    assert environment["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/.state/pulumi"
    assert environment["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{tmp_path}/.state/passphrase"
    assert environment["PULUMI_STACK"] == "lab"
    assert "PULUMI_CONFIG_PASSPHRASE" not in environment
    assert (tmp_path / ".state/pulumi/.pulumi/stacks/demo/lab.json").exists()
