# SPDX-License-Identifier: Apache-2.0
"""A role is run again when anything that it uses has changed, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import molecule_record
from tests.policy.repository import files

CONTENT = {
    "roles/one/tasks/main.yml": "- name: A\n  internal_certificate: {}\n",
    "roles/one/molecule/default/molecule.yml": "scenario: {}\n",
    "roles/two/tasks/main.yml": "[]\n",
    "roles/monitoring/tasks/main.yml": "[]\n",
    "infra/inventory/ansible/modules/internal_certificate.py": "x = 1\n",
    "infra/inventory/variables.py": "x = 1\n",
    "alerts/tasks.rules.yml": "groups: []\n",
    "ansible.cfg": "[defaults]\n",
}


@pytest.fixture(name="tree")
def fixture_tree(tmp_path: Path) -> Path:
    """Return a small repository."""
    for name, words in CONTENT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(words)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "affected"),
    [
        ("roles/one/tasks/main.yml", {"one"}),
        ("infra/inventory/ansible/modules/internal_certificate.py", {"one"}),
        ("alerts/tasks.rules.yml", {"monitoring"}),
        ("ansible.cfg", {"one", "two", "monitoring"}),
        ("infra/inventory/variables.py", {"one", "two", "monitoring"}),
    ],
)
def test_a_change_concerns_the_roles_that_use_the_file(tree: Path, changed: str, affected: set[str]) -> None:
    """Too few: a broken role counts as passed. Too many: nobody waits for the runs."""
    names = ("one", "two", "monitoring")
    before = {name: molecule_record.tree_hash(name, tree) for name in names}
    with (tree / changed).open("a") as file:
        file.write("# changed\n")
    assert {name for name in names if molecule_record.tree_hash(name, tree) != before[name]} == affected


def test_a_renamed_file_is_a_change(tree: Path) -> None:
    """Ansible finds files by name."""
    before = molecule_record.tree_hash("two", tree)
    folder = tree / "roles" / "two" / "tasks"
    (folder / "main.yml").rename(folder / "other.yml")
    files.cache_clear()
    assert molecule_record.tree_hash("two", tree) != before


def test_only_roles_with_a_scenario_have_one(tree: Path) -> None:
    """A role without one is named by the policy tests, not by a crash."""
    assert molecule_record.scenarios(tree) == ("one",)


def test_passes_add_up_until_the_role_changes(tmp_path: Path) -> None:
    """Evidence of another state of the role says nothing about this one."""
    path = tmp_path / "evidence" / "molecule.json"
    assert molecule_record.recorded("one", "hash-a", path) is None
    for _ in range(2):
        molecule_record.write("one", "hash-a", "test", 1.0, path)
    molecule_record.write("two", "hash-x", "test", 1.0, path)
    found = molecule_record.recorded("one", "hash-a", path)
    assert found is not None
    assert found["n"] == 2
    assert molecule_record.recorded("one", "hash-b", path) is None
    molecule_record.write("one", "hash-b", "test", 1.0, path)
    assert molecule_record.read(path)["one"]["n"] == 1
    assert molecule_record.read(path)["two"]["n"] == 1
