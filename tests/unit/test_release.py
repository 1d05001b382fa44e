# SPDX-License-Identifier: Apache-2.0
"""One fact, one place: what audit lines, hosts and control hosts call the release of a checkout."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from infra.release import UNKNOWN, Release, commit, release

if TYPE_CHECKING:
    from pathlib import Path


def git(directory: Path, *arguments: str) -> str:
    """Run git as somebody and return what it says."""
    somebody = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.test"]
    command = ["git", "-C", str(directory), *somebody, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(name="clone")
def fixture_clone(tmp_path: Path) -> Path:
    """Return a clone with one commit, tagged."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    git(tmp_path, "tag", "v1.2.3", "--annotate", "--message", "first")
    return tmp_path


def test_a_clone_is_named_by_its_tag(clone: Path) -> None:
    """People compare a host's release with the change log, not with hashes."""
    assert release(clone) == Release(git(clone, "rev-parse", "HEAD"), "v1.2.3")
    assert commit(clone) == git(clone, "rev-parse", "HEAD")


def test_changed_files_show_in_the_commit(clone: Path) -> None:
    """An audit line must not claim a commit that did not act."""
    (clone / "file").write_text("two")
    assert commit(clone).endswith("-dirty")


def test_an_installed_release_needs_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control host has a release without its history, and mostly no git at all."""
    monkeypatch.setenv("PATH", "")
    (tmp_path / "RELEASE.json").write_text(json.dumps({"commit": "a" * 40, "release": "v9"}))
    assert release(tmp_path) == Release("a" * 40, "v9")
    assert commit(tmp_path) == "a" * 40


def test_neither_clone_nor_release_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copied folder must not take the name of a repository around it, or fail."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert release(tmp_path) == Release(UNKNOWN, UNKNOWN)
    assert commit(tmp_path) == UNKNOWN
