# SPDX-License-Identifier: Apache-2.0
"""The description: every rule has a bad example with its exact message, and what is shipped loads.

A fixture `<name>.yml` patches a copy of inventories/: `replace` swaps a piece of text (it must occur
exactly once), `whole` gives a whole file, `delete` removes one; `<name>.txt` holds the exact messages.
PERENNIAL_UPDATE_GOLDEN=1 writes the messages, to be read before they are committed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from infra.spec import INVENTORIES, SpecError, environments, load

FIXTURES = sorted((Path(__file__).parent / "spec_fixtures").glob("*.yml"))
LEAST_FIXTURES = 40


def patched(target: Path, fixture: dict[str, Any]) -> Path:
    """Return a copy of the shipped inventories below `target` with the changes of `fixture`."""
    copy = target / "inventories"
    shutil.copytree(INVENTORIES, copy)
    for change in fixture["change"]:
        path = copy / change["file"]
        if "delete" in change:
            path.unlink()
            continue
        text = change.get("whole") or path.read_text("utf-8")
        if "replace" in change:
            assert text.count(change["replace"]) == 1, f"{change['replace']!r} in {path.name}"
            text = text.replace(change["replace"], change["by"])
        path.write_text(text, "utf-8")
    return copy


def messages(inventories: Path, environment: str) -> str:
    """Return everything that is wrong with an environment, as a user reads it."""
    with pytest.raises(SpecError) as caught:
        load(environment, inventories)
    return str(caught.value) + "\n"


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_bad_description_is_refused_with_file_line_key_and_nearest(path: Path, tmp_path: Path) -> None:
    """Whoever mistypes a word must be led to the place and the right word."""
    fixture = YAML(typ="safe").load(path.read_text("utf-8"))
    given = messages(patched(tmp_path, fixture), fixture.get("environment", "lab"))
    golden = path.with_suffix(".txt")
    if os.environ.get("PERENNIAL_UPDATE_GOLDEN"):
        golden.write_text(given, "utf-8")
    assert given == golden.read_text("utf-8")


def test_there_is_a_fixture_for_every_rule() -> None:
    """At least as many as the project promises, and no message shown twice for want of ideas."""
    texts = [path.with_suffix(".txt").read_text("utf-8") for path in FIXTURES]
    assert len(FIXTURES) >= LEAST_FIXTURES
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("environment", environments())
def test_what_is_shipped_is_valid(environment: str) -> None:
    """The positive control of every fixture: they fail for their change alone."""
    platform = load(environment)
    assert platform.name == environment
    assert platform.hosts


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    """Mending one mistake a run wastes an afternoon."""
    address = {"file": "lab.yml", "replace": "10.87.0.12,", "by": "10.87.0.11,"}
    objective = {"file": "platform/services.yml", "replace": "slo: site-latency", "by": "slo: none"}
    fixture = {"change": [address, objective]}
    given = messages(patched(tmp_path, fixture), "lab")
    assert "address 10.87.0.11 is taken by hosts.edge-1" in given
    assert "no SLO named 'none'" in given


def test_a_third_app_host_is_one_line(tmp_path: Path) -> None:
    """Counts are data: growing a tier needs no other change."""
    line = "  app-3: {address: 10.87.0.23, size: medium, roles: [app]}\n"
    fixture = {"change": [{"file": "lab.yml", "replace": "  db-1: {", "by": line + "  db-1: {"}]}
    platform = load("lab", patched(tmp_path, fixture))
    assert [host.name for host in platform.with_role("app")] == ["app-1", "app-2", "app-3"]


def test_a_platform_cannot_be_changed_after_loading() -> None:
    """What was validated is what is used."""
    platform = load("lab")
    with pytest.raises(TypeError):
        platform.hosts["x"] = platform.hosts["app-1"]  # type: ignore[index]
    with pytest.raises(ValueError, match="frozen"):
        setattr(platform.environment, "load_limit", 1)  # noqa: B010 - a plain assignment does not pass mypy
