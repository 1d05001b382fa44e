# SPDX-License-Identifier: Apache-2.0
"""The module that keeps root-owned code on a host exactly as it is in the checkout."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.programs import program

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"plugins/a.php": b"a", "plugins/part/b.php": b"b", "db.php": b"db"}
LINKS = {"sites/x/wp-content/uploads": "/srv/uploads/x"}


@pytest.fixture(name="tree")
def fixture_tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that brings `tmp_path` to a wish and returns the changes; owners are left out."""
    module = program("roles/app/library/perennial_tree.py")
    monkeypatch.setattr(os, "chown", lambda *_: None)
    monkeypatch.setattr(os, "fchown", lambda *_: None)
    monkeypatch.setattr(module.Tree, "_owned", lambda _, path, mode: path.lstat().st_mode & 0o7777 == mode)

    def bring(
        files: dict[str, bytes] = FILES, links: dict[str, str] = LINKS, *, dry_run: bool = False
    ) -> list[str]:
        made = module.Tree(tmp_path, files, links, dry_run=dry_run)
        made.make()
        changes: list[str] = made.changes
        return changes

    return bring


def test_the_second_run_changes_nothing(tree: Any, tmp_path: Path) -> None:
    """And the first made what was asked for, readable for the web server."""
    assert tree()
    assert (tmp_path / "plugins/part/b.php").read_bytes() == b"b"
    assert (tmp_path / "plugins/part").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "plugins/part/b.php").stat().st_mode & 0o777 == 0o644
    assert str((tmp_path / "sites/x/wp-content/uploads").readlink()) == "/srv/uploads/x"
    assert tree() == []


@pytest.mark.parametrize(
    ("damage", "change"),
    [
        (lambda root: (root / "plugins/a.php").unlink(), "file"),
        (lambda root: (root / "plugins/a.php").write_text("evil"), "file"),
        (lambda root: (root / "plugins/a.php").chmod(0o666), "owner or mode"),
        (lambda root: (root / "plugins/part/shell.php").write_text("evil"), "removed"),
        (lambda root: (root / "plugins/more").mkdir(), "removed"),
        (lambda root: (root / "plugins/more.php").symlink_to("/etc/passwd"), "removed"),
        (lambda root: (root / "sites/x/wp-content/uploads").unlink(), "link"),
        (lambda root: (root / "plugins").chmod(0o777), "owner or mode"),
    ],
)
def test_each_damage_is_mended_and_nothing_else(tree: Any, tmp_path: Path, damage: Any, change: str) -> None:
    """A file that somebody added runs as code: it goes, as a changed one comes back."""
    tree()
    damage(tmp_path)
    (said,) = tree(dry_run=True)
    assert said.startswith(change)
    (done,) = tree()
    assert done == said
    assert tree() == []


def test_a_file_that_left_the_checkout_leaves_the_host(tree: Any, tmp_path: Path) -> None:
    """Otherwise code that was removed for a hole would stay loaded."""
    tree()
    tree({name: text for name, text in FILES.items() if name != "plugins/a.php"})
    assert not (tmp_path / "plugins/a.php").exists()


def test_what_lies_beside_the_managed_folders_stays(tree: Any, tmp_path: Path) -> None:
    """Archives and translations are other tasks' business."""
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/kept").write_text("kept")
    tree()
    assert (tmp_path / "archives/kept").exists()


def test_a_dry_run_touches_nothing(tree: Any, tmp_path: Path) -> None:
    """Check mode on an empty host tells everything and makes nothing."""
    assert tree(dry_run=True)
    assert list(tmp_path.iterdir()) == []
