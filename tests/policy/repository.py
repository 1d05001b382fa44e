# SPDX-License-Identifier: Apache-2.0
"""What policy tests share: the files of a tree, and what roles do, read without running them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TASK_FOLDERS = ("tasks", "handlers")
# what a task may say besides its module
FREE_WORDS = {
    "name", "tags", "when", "loop", "loop_control", "register", "notify", "vars", "no_log", "diff",
    "check_mode", "changed_when", "failed_when", "become", "become_user", "listen", "until",
    "retries", "delay", "args", "block", "rescue", "always", "delegate_to", "run_once", "environment",
    "throttle", "any_errors_fatal", "ignore_errors", "async", "poll", "timeout", "ignore_unreachable",
    "with_items", "module_defaults",
}  # fmt: skip


@cache
def files(root: Path) -> tuple[Path, ...]:
    """Return the text files that the repository tracks, or, outside git, all files."""
    if (root / ".git").exists():
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=True)
        found = [root / name for name in listed.stdout.decode().split("\0") if name]
    else:
        found = [path for path in root.rglob("*") if path.is_file()]
    return tuple(sorted(path for path in found if path.is_file() and not path.is_symlink()))


@cache
def text(path: Path) -> str:
    """Return a file's text; binary files are empty."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def name(root: Path, path: Path) -> str:
    """Return a path as messages show it."""
    return str(path.relative_to(root))


@cache
def data(path: Path) -> Any:
    """Return a parsed YAML file; None for an empty one."""
    return YAML(typ="safe").load(text(path))


@dataclass(frozen=True)
class RoleTask:
    """One task of a role: `module` without its collection, `arguments` as written."""

    role: str
    file: str
    name: str
    module: str
    arguments: Any
    task: dict[str, Any]


def roles(root: Path) -> tuple[str, ...]:
    """Return the names of the roles."""
    return tuple(sorted({path.relative_to(root).parts[1] for path in files(root) if _in_role(root, path)}))


def _in_role(root: Path, path: Path) -> bool:
    parts = path.relative_to(root).parts
    return parts[0] == "roles" and len(parts) > 2


def tasks(root: Path, folders: tuple[str, ...] = TASK_FOLDERS) -> Iterator[RoleTask]:
    """Yield every task of every role; blocks are opened."""
    for path in files(root):
        parts = path.relative_to(root).parts
        if parts[0] == "roles" and len(parts) > 3 and parts[2] in folders and path.suffix == ".yml":
            for task in _flat(data(path) or []):
                module = next((key for key in task if key.split(".")[-1] not in FREE_WORDS), "")
                short = module.removeprefix("ansible.builtin.")
                yield RoleTask(
                    parts[1], name(root, path), task.get("name", ""), short, task.get(module), task
                )


def _flat(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if "block" in entry:
            for key in ("block", "rescue", "always"):
                yield from _flat(entry.get(key, []))
        else:
            yield entry


def role_variables(root: Path, role: str) -> dict[str, Any]:
    """Return a role's defaults and variables, unrendered."""
    found: dict[str, Any] = {}
    for folder in ("defaults", "vars"):
        path = root / "roles" / role / folder / "main.yml"
        if path.exists():
            found |= data(path) or {}
    return found


def destinations(root: Path, task: RoleTask) -> set[str]:
    """Return the paths that a template, copy or link task writes; what only a host knows stays as written."""
    if not isinstance(task.arguments, dict):
        return set()
    variables = role_variables(root, task.role)
    given = task.arguments.get("dest") or task.arguments.get("path") or ""
    return {_render(str(given), variables | {"item": item}) for item in _items(task.task, variables)}


def _items(task: dict[str, Any], variables: dict[str, Any]) -> list[Any]:
    loop = task.get("loop")
    if loop is None:
        return [None]
    if isinstance(loop, str):
        loop = variables.get(loop.strip("{} "), ["{{ item }}"])
    return loop if isinstance(loop, list) else ["{{ item }}"]


def _render(value: str, variables: dict[str, Any]) -> str:
    """Render what the role itself knows, twice because its variables are templates too."""
    environment = jinja2.Environment(undefined=jinja2.DebugUndefined, autoescape=False)  # noqa: S701 - paths
    for _ in range(2):
        try:
            value = environment.from_string(value).render(variables)
        except jinja2.TemplateError:
            return value
    return value
