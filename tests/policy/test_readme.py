# SPDX-License-Identifier: Apache-2.0
"""The README is what a newcomer believes: short, and its figures come from the records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.evidence_table import README, table, updated

if TYPE_CHECKING:
    from pathlib import Path


def test_the_evidence_table_is_the_one_that_the_records_give() -> None:
    """A figure typed by hand is a figure nobody measured; next: python -m tests.evidence_table."""
    text = README.read_text("utf-8")
    assert updated(text, table()) == text


def test_a_changed_record_changes_the_table(tmp_path: Path) -> None:
    """Positive control: the comparison above sees another value."""
    figure = {
        "title": "t", "reach": "≤ 1 s", "value": 2.0, "measured": "2 s", "reference": "", "why": "",
        "holds": False, "commit": "0" * 40, "time": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    record = tmp_path / "bench-x.json"
    record.write_text(json.dumps({"area": "x", "figures": [figure]}), encoding="utf-8")
    first = table(tmp_path)
    record.write_text(json.dumps({"area": "x", "figures": [{**figure, "measured": "3 s"}]}), encoding="utf-8")
    assert "| no |" in first
    assert first != table(tmp_path)


def test_the_two_commands_stand_within_the_first_fifteen_lines() -> None:
    """Whoever opens the page wants to start."""
    head = "\n".join(README.read_text("utf-8").splitlines()[:15])
    assert "git clone" in head
    assert "make up" in head
