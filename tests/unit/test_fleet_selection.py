# SPDX-License-Identifier: Apache-2.0
"""Selection of hosts, environment guards, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.fleet import guards
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.selection import select
from tests.unit.fleet_world import platform


def names(directory: Path, *words: str) -> list[str]:
    """Return the names that `words` mean."""
    return [host.name for host in select(platform(directory), words)]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["app-2"], ["app-2"]),
        (["edge"], ["edge-1", "edge-2"]),
        (["db-2", "edge-*"], ["edge-1", "edge-2", "db-2"]),
        (["app", "app-1"], ["app-1", "app-2"]),
    ],
)
def test_names_roles_and_globs_mean_hosts_in_the_order_of_the_file(
    tmp_path: Path, words: list[str], meant: list[str]
) -> None:
    """Whoever reads a plan compares it with the environment file, line by line."""
    assert names(tmp_path, *words) == meant


def test_a_disabled_host_is_left_out_unless_named_exactly(tmp_path: Path) -> None:
    """A broken machine must stay out of automation, and whoever mends it must still reach it."""
    assert "app-3" not in names(tmp_path, "all")
    assert "app-3" not in names(tmp_path, "app-*")
    assert names(tmp_path, "app-3") == ["app-3"]


def test_a_word_that_means_nothing_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    """An act on zero hosts that ends with 0 is the mistake that looks like success."""
    with pytest.raises(PerennialError, match="did you mean 'app-1'") as failure:
        names(tmp_path, "edge", "ap-1")
    assert failure.value.code is Exit.USAGE


def test_a_glob_that_means_only_disabled_hosts_says_so(tmp_path: Path) -> None:
    """The nearest name would be no help: the host is there, and left out on purpose."""
    with pytest.raises(PerennialError, match="only disabled hosts: app-3"):
        names(tmp_path, "app-3*")


def test_no_words_at_all_are_an_error(tmp_path: Path) -> None:
    """An empty list, as from an unset variable, must not mean all hosts."""
    with pytest.raises(PerennialError, match="no hosts were named"):
        names(tmp_path)


def test_what_is_not_disposable_refuses_destruction_and_load_above_its_limit(tmp_path: Path) -> None:
    """No switch overrides this: the wrong terminal is the usual way to lose a production platform."""
    lasting = platform(tmp_path, disposable=False)
    with pytest.raises(PerennialError, match="environment unit: down is refused") as failure:
        guards.require_disposable(lasting, "down")
    assert failure.value.code is Exit.REFUSED
    guards.require_load(lasting, 100)
    with pytest.raises(PerennialError, match="above the limit of 100"):
        guards.require_load(lasting, 100.5)
    guards.require_disposable(platform(tmp_path), "down")


@pytest.mark.parametrize("given", [None, "", "unit", "db-1", "unit db-2", "lab db-1", "unit  db-1"])
def test_a_destructive_act_needs_exactly_this_environment_and_host(tmp_path: Path, given: str | None) -> None:
    """`--yes` from the shell's history must not be enough to destroy data."""
    with pytest.raises(PerennialError, match="--confirm 'unit db-1'"):
        guards.require_confirmation(platform(tmp_path), "db-1", given)
    guards.require_confirmation(platform(tmp_path), "db-1", "unit db-1")


def test_exit_codes_are_the_published_table() -> None:
    """Codes are an interface: monitoring and CI act on them, so none may move."""
    table = {0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 64, 93, 130}
    assert set(Exit) == table
    assert (Exit.REFUSED, Exit.LOCKED, Exit.SLO_BREACH, Exit.USAGE) == (4, 8, 10, 64)


def test_an_error_says_where_what_nearest_and_next() -> None:
    """At night one line must be enough to go on."""
    error = PerennialError("no host 'ap-1'", where="lab", nearest="app-1", next_="perennial fleet list")
    assert str(error) == "lab: no host 'ap-1' (did you mean 'app-1'?); next: perennial fleet list"
