# SPDX-License-Identifier: Apache-2.0
"""What a step forked ends with it, whatever it did to escape."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from infra.make.family import ended_family

if TYPE_CHECKING:
    from pathlib import Path

# a child in a session of its own that ignores what asks it to end, as Mitogen's multiplexer does
STUBBORN = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(sys.argv[1], "w").write(str(os.getpid()))
    time.sleep(600)
"""


def orphan(variables: dict[str, str], note: Path) -> psutil.Process:
    """Start a program that ends at once and leaves a stubborn child to init; return the child."""
    subprocess.run([sys.executable, "-c", STUBBORN, note], env={**os.environ, **variables}, check=True)
    while not (note.exists() and note.read_text("ascii")):
        time.sleep(0.01)
    return psutil.Process(int(note.read_text("ascii")))


def test_an_orphan_that_ignores_signals_ends_with_its_step(tmp_path: Path) -> None:
    """A run that CI interrupted left three processes of Ansible for more than ten seconds."""
    children = []

    def interrupted() -> None:
        with ended_family(grace=0.1) as variables:
            children.append(orphan(dict(variables), tmp_path / "pid"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [child.is_running() for child in children] == [False]


def test_programs_of_others_are_left_alone(tmp_path: Path) -> None:
    """Another step, or another run beside this one, has a mark of its own."""
    with ended_family(grace=0.1) as others:
        child = orphan(dict(others), tmp_path / "pid")
        with ended_family(grace=0.1):
            pass
        assert child.is_running()
    assert not child.is_running()
