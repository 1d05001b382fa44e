# SPDX-License-Identifier: Apache-2.0
"""Faults of the machine under a whole platform, and bad input to make: each heals or is told clearly."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from infra.fleet import health
from infra.fleet.exits import Exit
from infra.fleet.journal import Journal, journal_directory
from infra.fleet.remote import SshRunner, must
from infra.lab.core.nspawn.mounts import unmount_below
from infra.lab.core.nspawn.paths import Paths, bridge
from infra.lab.core.process import Budget, run
from infra.make.provision import project
from infra.spec import CHECKOUT
from infra.toolchain.stack import Stack
from tests.lab import runs
from tests.lab.acts import Visitor, editor, lose
from tests.lab_session import ENVIRONMENT, make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.inventory import Fleet
    from loadtests.probe import Target
    from tests.lab.conftest import WatchedRun

pytestmark = pytest.mark.lab
PERENNIAL = str(CHECKOUT / ".venv" / "bin" / "perennial")


def told(*command: str, **variables: str) -> tuple[int, str]:
    """Run a program of ours in the Pulumi project; return its exit code and all that it said."""
    done = subprocess.run(
        command,
        cwd=CHECKOUT / "infra" / "lab",
        env={**os.environ, "PULUMI_STACK": ENVIRONMENT, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    return done.returncode, done.stdout


def pulumi(*words: str) -> tuple[int, str]:
    """Run the Pulumi command as an engineer does, in `infra/lab`."""
    return told(str(CHECKOUT / ".tools" / "bin" / "pulumi"), *words, "--non-interactive")


def doctor() -> tuple[int, list[dict[str, str]]]:
    """Return the exit code of `perennial doctor` and what it found."""
    code, text = told(PERENNIAL, "doctor", "--env", ENVIRONMENT, "--json")
    return code, json.loads(text)


@pytest.mark.timeout(900)
def test_a_second_run_says_who_is_at_work_and_changes_nothing(watched_run: WatchedRun) -> None:
    """The first goes on undisturbed, and the journal has no second act."""
    assert watched_run.second.returncode == Exit.LOCKED, watched_run.second.stdout
    said = watched_run.second.stdout
    assert f"environment {ENVIRONMENT} is in use by make up (process {watched_run.holder}, since" in said
    assert "Traceback" not in said
    assert [line["event"] for line in watched_run.lines] == ["START", "END"]


def state_hash(fleet: Fleet) -> str:
    """Return a hash of the stack's state."""
    file = Stack(project(fleet.platform), fleet.platform.name).state_file
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("target", ["up", "converge", "down"])
def test_a_wrong_passphrase_is_told_with_its_file_and_changes_nothing(
    target: str, fleet: Fleet, tmp_path: Path
) -> None:
    """Whoever joins a team has another passphrase file at first; `down` must not forget the hosts either."""
    wrong, output = tmp_path / "other-passphrase", tmp_path / "output"
    wrong.write_text("not the one\n", "utf-8")
    before = state_hash(fleet)
    process = runs.start(target, ENVIRONMENT, output, PULUMI_CONFIG_PASSPHRASE_FILE=str(wrong))
    assert process.wait(120) == Exit.KEY, output.read_text("utf-8")
    said = output.read_text("utf-8")
    expected = f"{wrong} is not the passphrase that the secrets of {ENVIRONMENT} are encrypted with"
    assert any(expected in line for line in said.splitlines()), said
    assert "Traceback" not in said
    assert state_hash(fleet) == before
    assert Stack(project(fleet.platform), ENVIRONMENT).lock_files() == []
    end = Journal(ENVIRONMENT, journal_directory(ENVIRONMENT)).lines()[-1]
    assert (end["event"], end["outcome"], end["changed"]) == ("END", "key", [])


def test_a_missing_passphrase_is_told_with_its_file(fleet: Fleet, tmp_path: Path) -> None:
    """The state stays as it is: a new passphrase would lock the secrets away for good."""
    missing, output = tmp_path / "nowhere", tmp_path / "output"
    before = state_hash(fleet)
    process = runs.start("up", ENVIRONMENT, output, PULUMI_CONFIG_PASSPHRASE_FILE=str(missing))
    assert process.wait(120) == Exit.KEY
    assert f"{missing} is missing; the secrets of {ENVIRONMENT} are encrypted with it" in output.read_text()
    assert state_hash(fleet) == before


@contextmanager
def taken(address: str) -> Iterator[str]:
    """Put an address of the lab's subnet on a link that is not the lab's."""
    link = "tfault0"
    run(["ip", "link", "add", link, "type", "bridge"], Budget(10))
    try:
        run(["ip", "address", "add", f"{address}/32", "dev", link], Budget(10))
        yield link
    finally:
        run(["ip", "link", "delete", link], Budget(10))


def test_the_doctor_finds_nothing_on_a_healthy_machine_and_names_a_taken_subnet(fleet: Fleet) -> None:
    """With the link that took it, the file to change, and the code for configuration."""
    assert doctor() == (Exit.DONE, [])
    network = fleet.platform.environment.network.subnet
    with taken(str(network[-2])) as link:
        code, (finding,) = doctor()
    assert code == Exit.USAGE
    assert finding["check"] == "subnet"
    assert link in finding["problem"]
    assert f"inventories/{ENVIRONMENT}.yml" in finding["mend"]


@pytest.mark.timeout(900)
def test_pulumi_sees_a_lost_host_and_heals_it(fleet: Fleet, site: Target, watched_run: WatchedRun) -> None:
    """No change after `make up`; drift after a loss; and plain `pulumi up` is the whole cure."""
    code, said = pulumi("preview", "--expect-no-changes")
    assert code == 0, said
    host = fleet.platform.with_role("app")[-1].name
    lose(fleet, host)
    code, findings = doctor()
    assert code == Exit.OUTSIDE_WINDOW
    assert [finding["check"] for finding in findings] == ["hosts"]
    assert host in findings[0]["problem"]
    assert f"make up ENV={ENVIRONMENT}" in findings[0]["mend"]
    code, said = pulumi("refresh", "--preview-only", "--expect-no-changes")
    assert code != 0, said
    assert host in said
    code, said = pulumi("up", "--yes", "--skip-preview")
    assert code == 0, said
    must(SshRunner(fleet).run(host, ["true"], safe=True), "reaching the host again")
    code, said = pulumi("refresh", "--preview-only", "--expect-no-changes")
    assert code == 0, said
    assert doctor() == (Exit.DONE, [])
    health.wait_all(fleet)
    assert runs.answers(site)


def reboot_machine(fleet: Fleet) -> None:
    """Take away what a reboot takes: every process, mount, link and rule of this lab; files stay."""
    name = fleet.platform.name
    for host in fleet.platform.hosts:
        lose(fleet, host)
    unmount_below(Paths().lab(name), Budget(60))
    run(["ip", "link", "delete", bridge(name)], Budget(10))
    run(["nft", "delete", "table", "inet", f"perennial_{name}"], Budget(10))


def writers(fleet: Fleet) -> list[str]:
    """Return the database hosts that accept writes."""
    runner, found = SshRunner(fleet), []
    for host in fleet.platform.with_role("database"):
        query = ["mariadb", "--batch", "--skip-column-names", "--execute=SELECT @@read_only"]
        if must(runner.run(host.name, query, safe=True), "asking").stdout.strip() == "0":
            found.append(host.name)
    return found


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_after_a_reboot_of_the_machine_the_platform_is_back_with_its_data(fleet: Fleet, site: Target) -> None:
    """`make up` is the one command after a power cut: posts are there, one writer, the address serves."""
    by = editor(fleet)
    post, path = by.publish(f"before the reboot {time.time_ns()}")
    reboot_machine(fleet)
    code, findings = doctor()
    assert code == Exit.OUTSIDE_WINDOW, findings
    begin = time.monotonic()
    result = make("up", "--yes")
    print(f"up again in {time.monotonic() - begin:.0f} s")
    assert result.returncode == Exit.DONE, result.stdout[-6000:]
    assert runs.answers(site)
    assert len(writers(fleet)) == 1
    for edge in fleet.platform.with_role("edge"):
        assert Visitor(site, edge.address).get(path).status_code == httpx.codes.OK
    again, path = by.publish(f"after the reboot {time.time_ns()}")
    assert Visitor(site, site.address).get(path).status_code == httpx.codes.OK
    for number in (post, again):
        by.delete(number)
    assert runs.left_over(fleet) == {}
