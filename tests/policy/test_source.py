# SPDX-License-Identifier: Apache-2.0
"""Rules over source files: licence, imports, length, no notes to self, no addresses of registries."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from infra.spec import CHECKOUT
from tests.policy.repository import files, name, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOURCE = {".py", ".sh", ".php", ".js", ".css", ".vcl", ".vtc"}
WORDPRESS = ("roles/app/files/mu-plugins/", "roles/app/files/theme/", "roles/app/files/wpctl/")
IMPORTS_ANSIBLE = re.compile(r"^\s*(from|import) ansible\b", re.MULTILINE)
LICENCE = re.compile(r"SPDX-License-Identifier: (\S+)")
ORDER = {"infra": 1, "backup": 2, "loadtests": 2, "alerts": 2, "runbooks": 2, "tests": 3}
ENGINES = {"pulumi", "ansible", "pyinfra"}
LONGEST_LINE, LONGEST_FILE, LONGEST_TASKS, LONGEST_README = 110, 300, 45, 150
# split so that this file is not its own finding
NOTES = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
SILENCED = re.compile(
    r"\|\| tr" + r"ue\b|ignore_err" + r"ors: *(true|yes)|failed_when: *fal" + r"se|except:\s*$", re.MULTILINE
)
REGISTRY = re.compile(
    r"https?://[^\s\"')]*(pypi\.|pythonhosted|npmjs|proxy\.golang|mirror)"
    r"|--(extra-)?index-url[ =]\S|GOPROXY" + r"=http"
)
GENERATED = ("requirements/", "infra/toolchain/pulumi-cli/", "LICENSES/", "LICENSE")


def licences(root: Path) -> Iterator[str]:
    """Yield source files whose SPDX line is missing or not the one that their kind asks for."""
    for path in files(root):
        shebang = text(path).startswith("#!")
        # a template's first lines are a host's file
        if path.suffix == ".j2" or (path.suffix not in SOURCE and not shebang) or not text(path).strip():
            continue
        short = name(root, path)
        found = LICENCE.search("\n".join(text(path).splitlines()[:12]))
        expected = {"Apache-2.0"}
        if short.startswith(WORDPRESS):
            expected = {"GPL-2.0-or-later"}
        elif path.suffix == ".php":
            expected = {"Apache-2.0", "GPL-2.0-or-later"}
        elif path.suffix == ".py" and IMPORTS_ANSIBLE.search(text(path)):
            expected = {"GPL-3.0-or-later"}
        if found is None or found[1] not in expected:
            yield f"{short}: SPDX line {found[1] if found else 'missing'}, expected {' or '.join(expected)}"


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full name of every module that a Python file imports."""
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


def imports(root: Path) -> Iterator[str]:
    """Yield imports against the one direction of design section 1, and engines in the typed model."""
    for path in files(root):
        short = name(root, path)
        top = short.split("/", maxsplit=1)[0]
        if path.suffix != ".py" or top not in ORDER:
            continue
        for line, module in imported(path):
            other = module.split(".")[0]
            if ORDER.get(other, 0) > ORDER[top]:
                yield f"{short}:{line}: {top} must not import {module}"
            if short.startswith("infra/spec/") and (
                other in ENGINES or (other == "infra" and not module.startswith("infra.spec"))
            ):
                yield f"{short}:{line}: the typed model must not import {module}"


def lengths(root: Path) -> Iterator[str]:
    """Yield lines, files, task files and a README that are too long to read at once."""
    for path in files(root):
        short = name(root, path)
        lines = text(path).splitlines()
        if short == "README.md" and len(lines) > LONGEST_README:
            yield f"{short}: {len(lines)} lines, at most {LONGEST_README}"
        if path.suffix not in SOURCE | {".yml"} or short.startswith(GENERATED):
            continue
        if path.suffix in {".py", ".php", ".sh"} and len(lines) > LONGEST_FILE:
            yield f"{short}: {len(lines)} lines, at most {LONGEST_FILE}"
        if re.fullmatch(r"roles/[^/]+/tasks/[^/]+\.yml", short) and len(lines) > LONGEST_TASKS * 1.8:
            yield f"{short}: {len(lines)} lines are more than one topic"
        if path.suffix == ".py":
            for number, line in enumerate(lines, 1):
                if len(line) > LONGEST_LINE and "http" not in line:
                    yield f"{short}:{number}: {len(line)} characters, at most {LONGEST_LINE}"


def notes(root: Path) -> Iterator[str]:
    """Yield notes to self and ways to hide a failure."""
    for path in files(root):
        short = name(root, path)
        if short.startswith(GENERATED) or path.suffix not in SOURCE | {".yml", ".j2", ".md", ""}:
            continue
        for pattern, what in ((NOTES, "a note to self"), (SILENCED, "a hidden failure")):
            for match in pattern.finditer(text(path)):
                line = text(path).count("\n", 0, match.start()) + 1
                yield f"{short}:{line}: {what}: {match[0].strip()}"


def registries(root: Path) -> Iterator[str]:
    """Yield addresses of package registries and mirrors: they belong to machines, not to the repository."""
    for path in files(root):
        for match in REGISTRY.finditer(text(path)):
            yield f"{name(root, path)}: {match[0]}"


def readme(root: Path) -> Iterator[str]:
    """Yield what a newcomer misses at the top of the README; no README yet is no finding."""
    path = root / "README.md"
    if path.exists():
        head = "\n".join(text(path).splitlines()[:15])
        yield from (
            f"README.md: {word!r} is not in the first 15 lines"
            for word in ("git clone", "make up")
            if word not in head
        )


RULES: dict[Callable[[Path], Iterator[str]], dict[str, str]] = {
    licences: {
        "infra/a.py": "x = 1\n",
        "infra/b.py": "# SPDX-License-Identifier: Apache-2.0\nimport ansible\n",
    },
    imports: {"infra/a.py": "import loadtests.probe\n", "infra/spec/b.py": "from infra.fleet import lock\n"},
    lengths: {"infra/a.py": "x = 1\n" * 301, "infra/b.py": "x = '" + "y" * 120 + "'\n"},
    notes: {"infra/a.py": "# TO" + "DO later\n", "roles/a/tasks/main.yml": "- ignore_err" + "ors: true\n"},
    registries: {"a.txt": "https://py" + "pi.org/simple\n", "b.sh": "pip install --index" + "-url x\n"},
    readme: {"README.md": "# Name\n"},
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_repository_keeps_its_rules(rule: Callable[[Path], Iterator[str]]) -> None:
    """Design sections 1 and 10: what a reader may count on in every file."""
    found = list(rule(CHECKOUT))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_each_rule_has_been_seen_red(rule: Callable[[Path], Iterator[str]], tmp_path: Path) -> None:
    """A check that was never seen red shows nothing: each bad file is a finding."""
    for short, content in RULES[rule].items():
        (tmp_path / short).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / short).write_text(content)
    found = list(rule(tmp_path))
    for short in RULES[rule]:
        assert any(line.startswith(short) for line in found), (short, found)
