# SPDX-License-Identifier: Apache-2.0
"""Each role alone, on the hosts that carry it: check, converge, idempotence, verify.

A state of a role that has passed (tests/evidence/molecule.json) is not run again in `make test`;
`make drill AREA=roles` runs all. PERENNIAL_RECORD=1 records passes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.fleet import lock
from infra.spec import CHECKOUT
from tests.lab import molecule_record
from tests.lab_session import ENVIRONMENT

if TYPE_CHECKING:
    from infra.inventory import Fleet

pytestmark = [pytest.mark.lab, pytest.mark.drill, pytest.mark.timeout(1200)]
PROGRAMS = Path(sys.executable).parent


def molecule(role: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the scenario of a role as a person does in its folder; molecule keeps its state in `folder`."""
    variables = {
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        "PERENNIAL_TEST_ENV": ENVIRONMENT,
        "MOLECULE_EPHEMERAL_DIRECTORY": str(folder),
        "NO_COLOR": "1",
    }
    return subprocess.run(
        ["molecule", "test"],
        cwd=CHECKOUT / "roles" / role,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=1000,
    )


@pytest.mark.parametrize("role", molecule_record.scenarios())
def test_roles_pass_check_converge_idempotence_and_verify(
    role: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A role that needs another's tasks first, or that changes twice, shows only when it runs alone."""
    now = molecule_record.tree_hash(role)
    passed = molecule_record.recorded(role, now)
    if passed and "drill" not in request.config.getoption("markexpr"):
        pytest.skip(
            f"{role} passed as it is, {passed['n']} times, last {passed['time']}: make drill AREA=roles"
        )
    fleet: Fleet = request.getfixturevalue("fleet")
    begin = time.monotonic()
    with lock.held(fleet, f"molecule: {role}"):
        done = molecule(role, tmp_path)
    assert done.returncode == 0, done.stdout[-8000:]
    if os.environ.get("PERENNIAL_RECORD"):
        molecule_record.write(role, now, ENVIRONMENT, time.monotonic() - begin)
