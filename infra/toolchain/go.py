# SPDX-License-Identifier: Apache-2.0
"""Gets a Go compiler that is new enough, and builds with it. Standard library only.

Debian 13's compiler fetches the toolchain that a module asks for by itself. Debian 12's (1.19) is older than
that ability, but it can download Go modules and check them against the checksum database, and toolchains are
published as modules: so it downloads the newer toolchain, and no package source is added to the machine.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import stat
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from infra.toolchain.errors import ConfigurationError, ToolchainError
from infra.toolchain.paths import Paths

NEEDED = (1, 24, 7)
"""What Pulumi's modules ask for in their `go` line."""
SELF_UPDATING = (1, 21)
"""From here on `go` fetches the toolchain that a module asks for."""

_VERSION_SYMBOL = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def parse_version(text: str) -> tuple[int, ...] | None:
    """Return the version in what `go version` prints (``go version go1.24.4 …``); None for none."""
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def version_of(binary: str | Path) -> tuple[int, ...] | None:
    """Ask a compiler for its own version; None when it does not run."""
    local = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            [str(binary), "version"], capture_output=True, text=True, timeout=60, check=False, env=local
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(done.stdout)


def _install_debian(say: Callable[[str], None]) -> str:
    if os.geteuid() != 0:
        raise ConfigurationError("building the Pulumi CLI needs Go; run as root: apt-get install golang-go")
    say("installing with apt-get: golang-go (to undo later: apt-get purge golang-go)")
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "golang-go"]):
        command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *arguments]
        noninteractive = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        if subprocess.run(command, env=noninteractive, stdin=subprocess.DEVNULL, check=False).returncode:
            raise ToolchainError(
                "golang-go could not be installed; run: apt-get update; apt-get install golang-go"
            )
    return "/usr/bin/go"


def unpack_toolchain(archive: Path, prefix: str, target: Path) -> None:
    """Unpack a toolchain module into `target`, which must not exist.

    A module archive can carry neither execute permissions nor nested ``go.mod`` files: the programs in it
    come without the former, and the latter are called ``_go.mod``. Both are put right here, as newer `go` do.

    Args:
        archive: The module's zip file, already checked against the checksum database.
        prefix: Folder in the archive that holds the tree, without a slash at the end.
        target: Folder to make.
    """
    with zipfile.ZipFile(archive) as content:
        for member in content.infolist():
            if not member.filename.startswith(prefix + "/") or member.is_dir():
                continue
            inner = Path(member.filename.removeprefix(prefix + "/"))
            place = target / inner.with_name("go.mod" if inner.name == "_go.mod" else inner.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            with content.open(member) as source, place.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            if inner.parts[0] == "bin" or inner.parts[:2] == ("pkg", "tool"):
                place.chmod(place.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _fetch_toolchain(paths: Paths, old: str, say: Callable[[str], None]) -> str:
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise ConfigurationError(
            f"no Go toolchain is known for {platform.machine()}; install Pulumi 3.220 or later by hand"
        )
    target = paths.tools / "go"
    if version_of(target / "bin" / "go") == NEEDED:
        return str(target / "bin" / "go")
    version = f"v0.0.1-go{'.'.join(map(str, NEEDED))}.linux-{machine}"
    say(f"fetching the Go toolchain {version} as a Go module (this machine's Go is too old)")
    with tempfile.TemporaryDirectory(dir=paths.tools) as scratch:
        environment = {**os.environ, "GOMODCACHE": f"{scratch}/cache", "GOFLAGS": "-modcacherw"}
        command = [old, "mod", "download", "-json", f"golang.org/toolchain@{version}"]
        done = subprocess.run(
            command, cwd=scratch, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ToolchainError(
                f"the Go toolchain could not be fetched: {done.stderr.strip() or done.stdout.strip()}"
            )
        part = Path(scratch) / "go"
        unpack_toolchain(Path(json.loads(done.stdout)["Zip"]), f"golang.org/toolchain@{version}", part)
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
    return str(target / "bin" / "go")


def ensure(paths: Paths, say: Callable[[str], None]) -> str:
    """Return a `go` command that can build modules which need `NEEDED`.

    Raises:
        ToolchainError: When none can be had; the message names the mend.
    """
    compiler = shutil.which("go") or _install_debian(say)
    version = version_of(compiler)
    if version is None:
        raise ToolchainError(f"{compiler} does not run; remove it or mend it, then run: make setup")
    return compiler if version >= SELF_UPDATING else _fetch_toolchain(paths, compiler, say)


def build(compiler: str, module: Path, binary: Path, version: str) -> None:
    """Build the Pulumi CLI from the locked modules in `module` to `binary`, with its version set.

    Raises:
        ToolchainError: When the build fails; the compiler's own words were printed.
    """
    flags = f"-s -w -X {_VERSION_SYMBOL}=v{version}"
    package = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
    command = [compiler, "build", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(binary), package]
    own = {key: value for key, value in os.environ.items() if key not in {"GOROOT", "GOFLAGS"}}
    environment = {**own, "GOTOOLCHAIN": "auto", "GOWORK": "off", "CGO_ENABLED": "0"}
    if subprocess.run(command, cwd=module, env=environment, stdin=subprocess.DEVNULL, check=False).returncode:
        raise ToolchainError(
            "the Pulumi CLI could not be built; the lines above say why. Run again: make setup"
        )
