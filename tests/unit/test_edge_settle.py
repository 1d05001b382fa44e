# SPDX-License-Identifier: Apache-2.0
"""An edge's daemons run with their files as they are, whatever a person or an interrupted run did before."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.edge_world import load

if TYPE_CHECKING:
    from pathlib import Path

settle = load("edge_settle")
AGENT, PROXY = "agent.service", "proxy.service"


class Edge:
    """An edge with an agent that may be restarted and a proxy that may not; systemctl is made up."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin with daemons that run and have taken in their files."""
        self.file = folder / "agent.json"
        self.file.write_text("one")
        self.acts: list[str] = []
        self.states = {
            name: {"ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}
            for name in (AGENT, PROXY)
        }
        self.begun = dict.fromkeys(self.states, int(time.time()) - 100)
        units = [
            {"unit": AGENT, "restart": True, "start": [str(self.file)], "reload": []},
            {"unit": PROXY, "restart": False, "start": [str(self.file)], "reload": []},
        ]
        (folder / "units.json").write_text(json.dumps(units))
        monkeypatch.setattr(settle, "UNITS", folder / "units.json")
        monkeypatch.setattr(settle, "RUN", folder / "run")
        monkeypatch.setattr(settle, "systemctl", self.systemctl)
        for unit in settle.units():
            unit.note("start")
            unit.note("reload")

    def systemctl(self, *words: str) -> str:
        """Answer `show`, note everything else."""
        if words[0] != "show":
            self.acts.append(" ".join(words))
            return ""
        state: dict[str, Any] = self.states[words[-1]] | {
            "ExecMainStartTimestamp": f"@{self.begun[words[-1]]}"
        }
        return "".join(f"{name}={value}\n" for name, value in state.items())

    def run(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Settle once and return what was done."""
        monkeypatch.setattr("sys.argv", ["edge_settle"])
        self.acts.clear()
        assert settle.main() == 0
        return self.acts


@pytest.fixture(name="edge")
def fixture_edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edge:
    """Return an edge that is in line with its files."""
    return Edge(tmp_path, monkeypatch)


def test_nothing_is_done_where_daemons_have_their_files(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run changes nothing."""
    assert edge.run(monkeypatch) == []


def test_a_changed_file_restarts_what_may_be_and_marks_the_rest(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests go through the proxy: the rolling engine restarts it."""
    edge.file.write_text("two")
    assert edge.run(monkeypatch) == [f"restart {AGENT}"]
    assert [path.name for path in (settle.RUN / "restart-needed.d").iterdir()] == [PROXY]
    assert edge.run(monkeypatch) == []


def test_a_daemon_that_was_restarted_by_hand_is_restarted_with_our_file(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is back as it was, and the daemon still has what somebody wrote meanwhile."""
    edge.begun[AGENT] = int(time.time()) + 1
    assert edge.run(monkeypatch) == [f"restart {AGENT}"]
    note = next(unit for unit in settle.units() if unit.unit == AGENT).noted("start")
    os.utime(note, (edge.begun[AGENT] + 1, edge.begun[AGENT] + 1))
    assert edge.run(monkeypatch) == []


def test_a_masked_daemon_is_unmasked_and_started(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masking is how a person stops a daemon for good, and the description says that it runs."""
    edge.states[AGENT] |= {"ActiveState": "inactive", "UnitFileState": "masked"}
    assert edge.run(monkeypatch) == [f"unmask --quiet {AGENT}", f"enable --quiet {AGENT}", f"start {AGENT}"]
