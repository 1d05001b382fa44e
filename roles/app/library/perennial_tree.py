#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: folders of a host hold exactly the given files and links, owned by root."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: perennial_tree
short_description: folders hold exactly the given files and links
description:
  - Every first-level entry of C(root) that files or links name is managed whole.
  - What else lies in it is removed.
  - Folders are 0755, files 0644, all owned by root.
options:
  root: {description: absolute path, type: path, required: true}
  trees: {description: where below C(root), to which file or folder of the role, type: dict, required: true}
  links: {description: where below C(root), to what it points to, type: dict, default: {}}
"""

ARGUMENTS: dict[str, Any] = {
    "root": {"type": "path", "required": True},
    "files": {"type": "dict", "required": True, "no_log": False},
    "links": {"type": "dict", "default": {}},
}
FILE_MODE, FOLDER_MODE = 0o644, 0o755


class Tree:
    """What shall be below `root`, and the differences found."""

    def __init__(self, root: Path, files: dict[str, bytes], links: dict[str, str], *, dry_run: bool) -> None:
        """Take the wish; nothing is touched yet."""
        self.root, self.files, self.links, self.dry_run = root, files, links, dry_run
        self.changes: list[str] = []
        self.folders = {""} | {str(parent) for path in [*files, *links] for parent in Path(path).parents}
        self.folders.discard(".")

    def _note(self, what: str, path: Path) -> bool:
        """Record a difference; return whether it shall be mended now."""
        self.changes.append(f"{what} {path}")
        return not self.dry_run

    def make(self) -> None:
        """Bring folders, files and links to what they shall be, then remove what nobody asked for."""
        for folder in sorted(self.folders):
            self._folder(self.root / folder)
        for name, content in self.files.items():
            self._file(self.root / name, content)
        for name, target in self.links.items():
            self._link(self.root / name, target)
        self._purge()

    def _owned(self, path: Path, mode: int) -> bool:
        state = path.lstat()
        return (state.st_uid, state.st_gid, state.st_mode & 0o7777) == (0, 0, mode)

    def _own(self, path: Path, mode: int) -> None:
        if not self._owned(path, mode) and self._note("owner or mode", path):
            os.chown(path, 0, 0)
            path.chmod(mode)

    def _folder(self, path: Path) -> None:
        if path.is_symlink() or not path.is_dir():
            if not self._note("folder", path):
                return
            if path.is_symlink() or path.exists():
                path.unlink()
            path.mkdir(mode=FOLDER_MODE, parents=True)
            path.chmod(FOLDER_MODE)
            os.chown(path, 0, 0)
        else:
            self._own(path, FOLDER_MODE)

    def _file(self, path: Path, content: bytes) -> None:
        if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
            self._own(path, FILE_MODE)
        elif self._note("file", path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            # Written beside and renamed, so that PHP never reads half a file.
            handle, name = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                os.fchown(handle, 0, 0)
                os.fchmod(handle, FILE_MODE)
            Path(name).replace(path)

    def _link(self, path: Path, target: str) -> None:
        if path.is_symlink() and str(path.readlink()) == target:
            return
        if self._note("link", path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            beside = path.with_name(f".{path.name}.new")
            beside.unlink(missing_ok=True)
            beside.symlink_to(target)
            beside.replace(path)

    def _purge(self) -> None:
        wanted = {self.root / name for name in [*self.files, *self.links, *self.folders]}
        for top in sorted({Path(name).parts[0] for name in [*self.files, *self.links]}):
            for here, folders, files in os.walk(self.root / top):
                for name in [*folders, *files]:
                    path = Path(here, name)
                    if path not in wanted and self._note("removed", path):
                        self._remove(path)
                folders[:] = [name for name in folders if Path(here, name) in wanted]

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    files = {name: base64.b64decode(text) for name, text in module.params["files"].items()}
    tree = Tree(Path(module.params["root"]), files, module.params["links"], dry_run=module.check_mode)
    tree.make()
    module.exit_json(changed=bool(tree.changes), changes=tree.changes)


if __name__ == "__main__":
    main()
