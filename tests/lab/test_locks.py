# SPDX-License-Identifier: Apache-2.0
"""Locks and audit lines on a running lab: who acts is alone, and leaves a trace on the control host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.fleet import journal, lock
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.remote import SshRunner, must
from infra.spec import CHECKOUT

if TYPE_CHECKING:
    from infra.inventory import Fleet

pytestmark = pytest.mark.lab

HOLDER = """
import sys, time
from infra.fleet import lock
from infra.inventory import read_fleet
with lock.held(read_fleet(sys.argv[1]), "lab test", name="lab-test"):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(environment: str) -> subprocess.Popen[str]:
    """Start a process that holds the lock `lab-test`; it stands for another operator."""
    command = [sys.executable, "-c", HOLDER, environment]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, env={**os.environ})
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_two_operators_exclude_each_other_and_the_second_learns_who_holds(fleet: Fleet) -> None:
    """The lock lives on the fleet: another process, another machine, the same refusal."""
    process = holder(fleet.platform.name)
    try:
        with pytest.raises(PerennialError) as failure, lock.held(fleet, "second", name="lab-test"):
            pytest.fail("two holders")
        assert failure.value.code is Exit.LOCKED
        assert f"[{process.pid}]" in str(failure.value)
        assert "lab test" in str(failure.value)
    finally:
        process.kill()
        process.wait(10)


def test_a_holder_that_was_killed_does_not_block_the_next_one(fleet: Fleet) -> None:
    """An interrupted `make up` must be followed by one that completes, at once."""
    process = holder(fleet.platform.name)
    process.kill()
    process.wait(10)
    told: list[str] = []
    with lock.held(fleet, "next", name="lab-test", say=told.append):
        assert any("is dead, taking over" in text for text in told)


def test_a_control_host_and_an_operator_exclude_each_other(fleet: Fleet) -> None:
    """Their machines differ, so nobody may call the other's process dead."""
    runner = SshRunner(fleet, dry_run=False)
    keeper = lock.FleetLock(runner, lock.lock_host(fleet.platform), "lab-test", "from the control host")
    keeper.acquire()
    path = f"/var/lib/perennial/locks/{keeper.name}.json"
    elsewhere = (
        f"import json,sys;d=json.load(open('{path}'));d['process']['machine']='other';d['process']['pid']=1;"
    )
    elsewhere += f"json.dump(d,open('{path}','w'))"
    try:
        must(runner.run(keeper.host, ["python3", "-c", elsewhere]), "moving the lock to another machine")
        with pytest.raises(PerennialError) as failure, lock.held(fleet, "operator", name="lab-test"):
            pytest.fail("two holders")
        assert failure.value.code is Exit.LOCKED
    finally:
        keeper.release()


def test_each_act_is_on_the_control_host_with_as_many_hosts_as_were_changed(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The auditor reads the control host's log, not the laptop of whoever acted."""
    reason = f"lab test {uuid.uuid4()}"
    runner = SshRunner(fleet, dry_run=False)
    apps = [host.name for host in fleet.platform.with_role("app", enabled_only=True)]
    name = fleet.platform.name
    with journal.act(name, "lab test", reason=reason, hosts=apps, fleet=fleet, directory=tmp_path) as act:
        for host in apps:
            must(runner.run(host, ["true"]), "changing nothing")
            act.change(host)
    control = fleet.platform.with_role("control", enabled_only=True)[0].name
    read = ["journalctl", "--output=cat", "--identifier=perennial-audit", "--since=-5min"]
    text = must(runner.run(control, read, safe=True), "reading the log").stdout
    lines = [json.loads(line) for line in text.splitlines() if reason in line]
    assert [line["event"] for line in lines] == ["START", "END"]
    assert lines[1]["changed"] == apps
    assert lines[1]["outcome"] == "done"


def test_pyinfra_reaches_every_host_through_the_openssh_client(fleet: Fleet) -> None:
    """Users of pyinfra work with it as they know it, over the same pinned connections."""
    program = [str(CHECKOUT / ".venv" / "bin" / "pyinfra"), "-y", "infra/inventory/pyinfra_hosts.py"]
    environment = {**os.environ, "PERENNIAL_ENV": fleet.platform.name}
    done = subprocess.run(
        [*program, "exec", "--", "uname -n"],
        cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    assert all(f"[{name}]" in output for name in fleet.platform.hosts), output[-3000:]
