# SPDX-License-Identifier: Apache-2.0
"""A program and all that it forked, found by a mark in their environment.

Ansible's workers leave its session, and Mitogen's multiplexer ignores an interrupt and waits for its threads:
when the program itself is gone they belong to init, and neither the process tree nor the group shows them.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MARK = "PERENNIAL_FAMILY"
GRACE_SECONDS = 5.0


@contextmanager
def ended_family(grace: float = GRACE_SECONDS) -> Iterator[Mapping[str, str]]:
    """Give the variables a program is to be started with; on leaving, whoever inherited them is ended.

    They have `grace` seconds to end by themselves, which they do as a rule, and are killed then.
    """
    variables = {MARK: uuid.uuid4().hex}
    try:
        yield variables
    finally:
        _end(variables[MARK], grace)


def _end(mark: str, grace: float) -> None:
    _, left = psutil.wait_procs(_marked(mark), timeout=grace)
    while left:  # one that is killed may just have forked another
        for member in left:
            member.kill()
        psutil.wait_procs(left)
        left = _marked(mark)


def _marked(mark: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _mark_of(process) == mark]


def _mark_of(process: psutil.Process) -> str | None:
    try:
        ended = process.status() == psutil.STATUS_ZOMBIE
        return None if ended else process.environ().get(MARK)
    except (psutil.AccessDenied, psutil.NoSuchProcess, OSError):
        return None
