# SPDX-License-Identifier: Apache-2.0
"""Archives of sites.yml: verified by their hash before they are unpacked, mended when a file is gone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.spec import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

PLUGIN = "<?php\n/* Plugin Name: Tiny */\n"
# The tasks alone, without the role: its handlers would reload this machine's PHP.
PLAY = f"""
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {{ansible_python_interpreter: /usr/bin/python3}}
  tasks:
    - ansible.builtin.include_tasks: {CHECKOUT}/roles/app/tasks/archive.yml
  handlers:
    - name: Reload PHP-FPM
      ansible.builtin.debug: {{msg: reloaded}}
"""


@pytest.fixture(name="unpack")
def fixture_unpack(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Return a function that runs the role's archive tasks on this machine, into a folder of the test."""
    (tmp_path / "plugins").mkdir()
    with zipfile.ZipFile(tmp_path / "plugins/tiny.zip", "w") as archive:
        archive.writestr("tiny/tiny.php", PLUGIN)
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "ansible.cfg").write_text("[defaults]\n")

    def unpack(*options: str, sha256: str | None = None) -> tuple[int, str]:
        digest = sha256 or hashlib.sha256((tmp_path / "plugins/tiny.zip").read_bytes()).hexdigest()
        return played(tmp_path, variables(tmp_path, digest), *options)

    return unpack


def variables(folder: Path, sha256: str) -> dict[str, Any]:
    """Return what the role's tasks read, with an archive of that hash."""
    origin = {
        "source": "archive",
        "name": "tiny",
        "version": "1.0",
        "archive": "plugins/tiny.zip",
        "sha256": sha256,
    }
    return {
        "perennial": {"sites": [], "packages": {"app": []}},
        "app_archive": origin,
        "app_archive_dir": str(folder),
        "app_archive_root": str(folder / "archives"),
        "app_archive_path": str(folder / "archives" / "tiny-1.0"),
    }


def played(folder: Path, known: dict[str, Any], *options: str) -> tuple[int, str]:
    """Run the play of a folder as root; return its exit code and what it said."""
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    settings = {"ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "default"}
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n", "-E"]
    given = ["-i", "localhost,", "-e", json.dumps(known), *options]
    result = subprocess.run(
        [*sudo, program, *given, str(folder / "play.yml")],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return result.returncode, result.stdout + result.stderr


def test_an_archive_is_unpacked_once_and_mended(
    unpack: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """The second run changes nothing; a file that somebody deleted comes back, which is a change."""
    file = tmp_path / "archives/tiny-1.0/tiny/tiny.php"
    code, text = unpack()
    assert code == 0, text
    assert file.read_text() == PLUGIN
    code, text = unpack()
    assert (code, "changed=0" in text) == (0, True), text
    file.unlink()
    code, text = unpack()
    assert (code, "changed=1" in text) == (0, True), text
    assert file.read_text() == PLUGIN


def test_another_archive_under_the_same_name_is_refused(
    unpack: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """What sites.yml does not name by its hash is never unpacked, not even beside."""
    code, text = unpack(sha256="0" * 64)
    assert code != 0
    assert "sites.yml wants sha256 " + "0" * 64 in " ".join(text.split())
    assert not (tmp_path / "archives").exists()


def test_a_missing_archive_is_named(unpack: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """The message says which file, and where it was looked for."""
    (tmp_path / "plugins/tiny.zip").rename(tmp_path / "plugins/other.zip")
    code, text = unpack(sha256="0" * 64)
    assert code != 0
    assert "no file" in text
