# SPDX-License-Identifier: Apache-2.0
"""Pages say what they must, and a mistake in one is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from infra.cli.runbook import app
from infra.fleet.exits import Exit, PerennialError
from infra.runbook import labels, lint, page
from infra.runbook.rules import Alert, alerts

KNOWN = {"DiskFull": Alert("DiskFull", "page", "full", "abc123", Path("disk.rules.yml"))}
FIXTURES = Path(__file__).with_name("runbook_fixtures")
PAGE = (FIXTURES / "DiskFull.md").read_text("utf-8")
MISTAKES: dict[str, dict[str, str]] = YAML(typ="safe").load((FIXTURES / "mistakes.yml").read_text("utf-8"))


def findings(folder: Path, text: str) -> list[str]:
    """Return what the check says of one page."""
    (folder / "DiskFull.md").write_text(text)
    return [str(finding).removeprefix(f"{folder}/") for finding in lint.check(folder, KNOWN)]


def test_a_good_page_has_no_findings(tmp_path: Path) -> None:
    """The positive control of every case below."""
    assert findings(tmp_path, PAGE) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_line(mistake: str, tmp_path: Path) -> None:
    """What is wrong is found when the page is written, not at 03:00."""
    case = MISTAKES[mistake]
    assert case["right"] in PAGE
    found = findings(tmp_path, PAGE.replace(case["right"], case["wrong"], 1))
    assert [line for line in found if case["said"] in line and line.startswith("DiskFull.md:")], found


def test_an_alert_without_a_page_and_a_page_without_an_alert_are_named(tmp_path: Path) -> None:
    """In both directions: a renamed alert leaves an orphan."""
    (tmp_path / "DiskFul.md").write_text(PAGE)
    said = [finding.what for finding in lint.check(tmp_path, KNOWN)]
    assert "alert DiskFull has no page" in said
    assert "no alert DiskFul (did you mean DiskFull?)" in said


def test_the_line_of_a_finding_counts_the_front_matter(tmp_path: Path) -> None:
    """An editor jumps there."""
    (line,) = findings(tmp_path, PAGE.replace('"confirm": "token", ', ""))
    number = int(line.split(":")[1])
    assert PAGE.splitlines()[number - 1].startswith('```bash {"name": "clean"')


def test_a_fence_without_attributes_is_an_example(tmp_path: Path) -> None:
    """Prose may show a command that nothing should run."""
    (tmp_path / "DiskFull.md").write_text(PAGE.replace("The disk", "```bash\nrm -r /\n```\n\nThe disk"))
    read = page.read(tmp_path / "DiskFull.md")
    assert [block.attributes.name for block in read.blocks] == ["look", "clean", "gone"]


@pytest.mark.parametrize("word", ["task", "=x", "Task=x", "task="])
def test_a_word_that_is_no_label_is_refused(word: str) -> None:
    """With the shape of a right one."""
    with pytest.raises(PerennialError, match="next: --label task=wp-cron") as refused:
        labels.parse([word])
    assert refused.value.code == Exit.USAGE


def test_a_changed_expression_asks_for_its_page_again(tmp_path: Path) -> None:
    """A new line inside an expression changes nothing, a threshold does."""
    rule = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: {}\n    labels: {{severity: page}}\n"
    hashes = []
    for number, expression in enumerate(("up == 0", '"up ==\\n 0"', "up == 1")):
        folder = tmp_path / str(number)  # a folder is read once a process
        folder.mkdir()
        (folder / "a.rules.yml").write_text(rule.format(expression))
        hashes.append(alerts(folder)["A"].hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_show_names_the_nearest_page_for_a_wrong_word() -> None:
    """The message has the next command."""
    result = CliRunner().invoke(app, ["show", "TaskLat"])
    assert isinstance(result.exception, PerennialError)
    assert result.exception.nearest == "TaskLate"
