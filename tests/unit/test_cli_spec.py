# SPDX-License-Identifier: Apache-2.0
"""`perennial spec`: the description shown, checked and compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli import main as entry
from infra.cli import spec_difference
from infra.cli.spec import at_path
from infra.fleet.exits import Exit, PerennialError
from infra.spec import INVENTORIES
from tests.unit.fleet_world import fleet


def test_spec_check_names_every_problem_of_every_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mending one error to be told of the next is slow."""
    fleet(tmp_path)
    inventories = tmp_path / "inventories"
    assert entry.main(["spec", "check", "--inventories", str(inventories)]) == 0
    bad = (
        (inventories / "unit.yml")
        .read_text()
        .replace("roles: [edge]", "roles: [egde]")
        .replace("unit", "other")
        .replace("192.0.2.", "198.51.100.")
    )
    (inventories / "other.yml").write_text(bad)
    capsys.readouterr()
    assert entry.main(["spec", "check", "--inventories", str(inventories)]) == Exit.USAGE
    text = capsys.readouterr().out
    assert "inventories/unit.yml" not in text
    assert "inventories/other.yml:" in text
    assert "unit: valid" in text
    assert "did you mean 'edge'" in text


def test_spec_check_accepts_what_is_in_this_checkout() -> None:
    """The description in the repository is the one that everything else is built from."""
    assert entry.main(["spec", "check", "--inventories", str(INVENTORIES)]) == 0


def test_a_difference_is_told_in_words_of_the_platform() -> None:
    """A reviewer asks what a change means, not which line moved."""
    before = {
        "hosts": {"a": {"address": "1", "roles": ["app"], "size_name": "s", "disabled": False}},
        "plan": {},
    }
    after = {
        "hosts": {
            "a": {"address": "1", "roles": ["app"], "size_name": "s", "disabled": True},
            "b": {"address": "2", "roles": ["app"], "size_name": "s", "disabled": False},
        },
        "plan": {"x.y": {"state": "planned"}},
    }
    assert spec_difference.differences(before, after) == [
        "host added: b (address 2, roles ['app'], size s)",
        "host a: disabled False → True",
        "clause added: x.y",
    ]
    assert spec_difference.differences(before, before) == []


def test_an_unknown_revision_is_an_error_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    """Git's own words are for git's users."""
    assert entry.main(["spec", "diff", "--against", "no-such-revision"]) == Exit.USAGE
    assert "cannot read 'no-such-revision'" in capsys.readouterr().err


def test_a_path_in_the_description_is_looked_up_with_the_nearest_key() -> None:
    """`spec show` is how people learn the names."""
    data = {"hosts": {"app-1": {"roles": ["base", "app"]}}}
    assert at_path(data, "hosts.app-1.roles.1") == "app"
    with pytest.raises(PerennialError, match="did you mean 'app-1'"):
        at_path(data, "hosts.app1")
    with pytest.raises(PerennialError, match="no '5'"):
        at_path(data, "hosts.app-1.roles.5")
