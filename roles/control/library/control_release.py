#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: a release of Perennial on a control host, with its own virtual environment.

Called by the action of the same name, first to look, then, where something is missing, with what was sent.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: control_release
short_description: a release of Perennial with its virtual environment
description:
  - Compares every file of the release with the manifest, and every file of the virtual environment with
    the records of its packages. Makes anew what differs, offline; links C(current), C(.venv), C(.state).
options:
  root: {description: directory of releases and environments, type: path, required: true}
  state_directory: {description: what the release calls C(.state), type: path, required: true}
  commit: {description: commit of the release, type: str, required: true}
  release: {description: name of the release as git describes it, type: str, required: true}
  lock: {description: sha256 of the locked requirements, type: str, required: true}
  manifest: {description: path in the release to mode and sha256, type: dict, required: true}
  archive: {description: tar archive of the release on this host, type: path}
  wheels: {description: tar archive of the wheels on this host, type: path}
  keep: {description: how many earlier releases stay, type: int, default: 2}
  apply: {description: make what is missing, type: bool, default: false}
author: [Perennial]
"""

EXAMPLES = """
- name: Install this checkout's commit
  control_release:
    root: /opt/perennial
    state_directory: /var/lib/perennial/control/state
"""

RETURN = """
missing: {description: what had to be made, type: list, elements: str, returned: always}
"""

MANIFEST = "MANIFEST.json"
RELEASE = "RELEASE.json"
COMPLETE = "installed.json"


@dataclass(frozen=True)
class Places:
    """Where a release, its environment and its links are."""

    root: Path
    commit: str
    lock: str
    state_directory: Path

    @property
    def release(self) -> Path:
        """Return the directory of this release."""
        return self.root / "releases" / self.commit

    @property
    def environment(self) -> Path:
        """Return the directory of its virtual environment; releases with the same lock share it."""
        return self.root / "venvs" / self.lock[:16]

    def links(self) -> dict[Path, Path]:
        """Return link → target."""
        return {
            self.release / ".venv": self.environment,
            self.release / ".state": self.state_directory,
            self.root / "current": self.release,
        }


def entry(path: Path) -> list[str]:
    """Return mode and content hash of a file, or the target of a link, as manifests write them."""
    if path.is_symlink():
        return ["link", str(path.readlink())]
    kind = "exec" if path.stat().st_mode & 0o100 else "file"
    return [kind, hashlib.sha256(path.read_bytes()).hexdigest()]


def release_differs(directory: Path, manifest: dict[str, list[str]]) -> bool:
    """Tell whether a file of the release is missing, changed, or too many; byte code does not count."""
    found = {
        str(path.relative_to(directory)): entry(path)
        for path in directory.rglob("*")
        if (path.is_symlink() or path.is_file()) and "__pycache__" not in path.parts
    }
    for own in (".venv", ".state", MANIFEST, RELEASE):
        found.pop(own, None)
    return found != manifest or not all((directory / own).is_file() for own in (MANIFEST, RELEASE))


def environment_differs(directory: Path) -> bool:
    """Tell whether the environment is missing, unfinished, of another Python, or lacks a file."""
    try:
        complete = json.loads((directory / COMPLETE).read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return True
    packages = directory / "lib" / complete["python"] / "site-packages"
    python = Path("/usr/bin/python3").resolve().name
    if complete["python"] != python or not (directory / "bin" / "python").exists():
        return True
    return any(package_differs(packages, packages / name) for name in complete["packages"])


def package_differs(packages: Path, info: Path) -> bool:
    """Tell whether a file named by a package's record is missing or of another size."""
    try:
        with (info / "RECORD").open(encoding="utf-8", newline="") as record:
            for name, _, size in csv.reader(record):
                if size and (packages / name).stat().st_size != int(size):
                    return True
    except FileNotFoundError:
        return True
    return False


def wrong_links(places: Places) -> list[Path]:
    """Return the links that are missing or lead elsewhere."""
    return [
        link for link, target in places.links().items() if not link.is_symlink() or link.readlink() != target
    ]


def look(places: Places, manifest: dict[str, list[str]]) -> list[str]:
    """Return what is missing: `release`, `environment`, and links by name."""
    missing = ["release"] if release_differs(places.release, manifest) else []
    missing += ["environment"] if environment_differs(places.environment) else []
    return missing + [f"link {link.name}" for link in wrong_links(places)]


def install_release(places: Places, parameters: dict[str, Any], module: AnsibleModule) -> None:
    """Unpack the archive beside its place, then swap it in whole."""
    fresh = places.release.with_name(f"{places.commit}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o755, parents=True)
    with tarfile.open(parameters["archive"]) as archive:
        archive.extractall(fresh, filter="data")
    identity = {"commit": places.commit, "release": parameters["release"]}
    (fresh / RELEASE).write_text(json.dumps(identity) + "\n", "utf-8")
    (fresh / MANIFEST).write_text(json.dumps(parameters["manifest"], sort_keys=True) + "\n", "utf-8")
    run(module, ["/usr/bin/python3", "-m", "compileall", "-q", str(fresh / "infra")])
    old = places.release.with_name(f"{places.commit}.old")
    shutil.rmtree(old, ignore_errors=True)
    if places.release.exists():
        places.release.rename(old)
    fresh.rename(places.release)
    shutil.rmtree(old, ignore_errors=True)


def install_environment(places: Places, parameters: dict[str, Any], module: AnsibleModule) -> None:
    """Make the virtual environment from the wheels that were sent; nothing is fetched."""
    directory = places.environment
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    run(module, ["/usr/bin/python3", "-m", "venv", str(directory)])
    wheels = Path(module.tmpdir) / "wheels"
    with tarfile.open(parameters["wheels"]) as archive:
        archive.extractall(wheels, filter="data")
    run(module, [
        str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-index",
        "--require-hashes", "--disable-pip-version-check", "--no-cache-dir", "--find-links", str(wheels),
        "--requirement", str(places.release / "requirements" / "run.txt"),
    ])  # fmt: skip
    python = Path("/usr/bin/python3").resolve().name
    packages = sorted(
        path.name for path in (directory / "lib" / python / "site-packages").glob("*.dist-info")
    )
    (directory / COMPLETE).write_text(json.dumps({"python": python, "packages": packages}) + "\n", "utf-8")


def run(module: AnsibleModule, command: list[str]) -> None:
    """Run a command; its failure ends the module."""
    code, output, errors = module.run_command(command, umask=0o022)
    if code != 0:
        module.fail_json(msg=f"{' '.join(command[:4])}: {(errors or output).strip()[-2000:]}")


def put_link(link: Path, target: Path) -> None:
    """Make a symbolic link in one step."""
    temporary = link.with_name(f"{link.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def prune(places: Places, keep: int) -> None:
    """Remove all but this release and the `keep` newest others, and environments that none of them uses."""
    others = [path for path in places.release.parent.iterdir() if path != places.release]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[keep:]:
        shutil.rmtree(path)
    used = {(path / ".venv").resolve() for path in places.release.parent.iterdir()} | {places.environment}
    for path in places.environment.parent.iterdir():
        if path not in used:
            shutil.rmtree(path)


def main() -> None:
    """Look; with archives, make what is missing."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "state_directory": {"type": "path", "required": True},
            "commit": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "lock": {"type": "str", "required": True},
            "manifest": {"type": "dict", "required": True},
            "archive": {"type": "path"},
            "wheels": {"type": "path"},
            "keep": {"type": "int", "default": 2},
            "apply": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    places = Places(
        Path(parameters["root"]),
        parameters["commit"],
        parameters["lock"],
        Path(parameters["state_directory"]),
    )
    missing = look(places, parameters["manifest"])
    if parameters["apply"] and not module.check_mode:
        if "release" in missing:
            install_release(places, parameters, module)
        if "environment" in missing:
            install_environment(places, parameters, module)
        for link in wrong_links(places):
            put_link(link, places.links()[link])
        prune(places, parameters["keep"])
    module.exit_json(changed=bool(missing), missing=missing)


if __name__ == "__main__":
    main()
