# SPDX-License-Identifier: Apache-2.0
"""No secret value is readable where it must not be, and the search would find one (sec.secrets)."""

from __future__ import annotations

import gzip
import json
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from infra.fleet.remote import SshRunner, must
from infra.make.provision import project
from infra.toolchain.stack import Stack
from tests.lab import exposure, runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.inventory import Fleet
    from tests.lab.conftest import WatchedRun

pytestmark = pytest.mark.lab

# Reads the canary from standard input, so that it is exactly where it is planted and nowhere else.
PLANT = """
import gzip, os, pathlib, subprocess, sys
canary = sys.stdin.read().strip()
subprocess.run(["logger", "--tag", "perennial-canary"], input=canary, text=True, check=True)
pathlib.Path("/etc/perennial/canary").write_text(canary)
os.chmod("/etc/perennial/canary", 0o644)
pathlib.Path("/var/log/canary.log").write_text("x" * (2**20 - 10) + canary)
pathlib.Path("/var/log/canary.log.gz").write_bytes(gzip.compress(canary.encode()))
subprocess.run(["zstd", "-q", "-f", "-o", "/var/log/canary.log.zst"], input=canary.encode(), check=True)
for command, environment in ((["sleep", "120", canary], {}), (["sleep", "120"], {"CANARY": canary})):
    command = ["sh", "-c", "sleep 120; :", *command[2:]]
    subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
REMOVE = """
import os, pathlib, signal, sys
canary = sys.stdin.read().strip().encode()
for path in (pathlib.Path("/etc/perennial/canary"), *pathlib.Path("/var/log").glob("canary.log*")):
    path.unlink(missing_ok=True)
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if canary in (process / "cmdline").read_bytes() + (process / "environ").read_bytes():
            os.kill(int(process.name), signal.SIGKILL)
    except OSError:
        continue
"""


def private_files(environment: str) -> list[Path]:
    """Return what a run leaves on this machine: logs, journals, and Pulumi's state with its history."""
    own = runs.STATE / environment
    state = [
        path for path in (runs.STATE / "pulumi").rglob("*") if environment in path.name and path.is_file()
    ]
    return [*own.glob("logs/*"), *own.glob("journal*"), *state]


def wanted(fleet: Fleet) -> dict[str, str]:
    """Return what to look for."""
    found = exposure.needles(fleet.secret_values)
    assert set(found.values()) == set(fleet.secret_values), "a secret without anything confidential"
    return found


def test_nothing_on_this_machine_holds_a_value(fleet: Fleet) -> None:
    """Logs are sent to others, and a state export is what a person attaches to a report."""
    files = private_files(fleet.platform.name)
    assert any(path.suffix == ".log" for path in files)
    assert any(path.name.startswith("journal") for path in files)
    assert any("stacks" in path.parts for path in files)
    found = exposure.in_files(files, wanted(fleet))
    stack = Stack(project(fleet.platform), fleet.platform.name)
    for command in (["stack", "export"], ["stack", "output", "--json"], ["stack", "output"], ["config"]):
        names = exposure.in_text(stack.run(*command).encode(), wanted(fleet))
        found |= {(f"pulumi {' '.join(command)}", name) for name in names}
    assert found == set()


@pytest.mark.timeout(300)
def test_nothing_on_any_host_holds_a_value_where_others_can_read(fleet: Fleet) -> None:
    """Journals, logs, the central store, command lines, environments, and files that anybody may read."""
    assert exposure.on_hosts(fleet, wanted(fleet)) == set()


@pytest.mark.timeout(900)
def test_no_value_passes_through_a_command_line_or_an_environment(watched_run: WatchedRun) -> None:
    """While `make up` hands a secret over, on this machine and on every host; nor is it in what make says."""
    assert watched_run.watch.looks > 20
    assert watched_run.watch.found == set()
    assert exposure.in_text(watched_run.output.encode(), watched_run.watch.wanted) == set()


@contextmanager
def planted(fleet: Fleet, host: str) -> Iterator[str]:
    """Put a random value into every kind of place on a host, and take it away again."""
    canary = f"canary-{secrets.token_hex(16)}"
    runner = SshRunner(fleet, dry_run=False)
    must(runner.run(host, ["python3", "-c", PLANT], stdin=canary), "planting")
    try:
        yield canary
    finally:
        must(runner.run(host, ["python3", "-c", REMOVE], stdin=canary), "removing")


@pytest.mark.timeout(300)
def test_the_search_finds_a_planted_value_in_every_place(fleet: Fleet) -> None:
    """Positive control: a search that finds nothing shows nothing unless it would."""
    store = fleet.platform.with_role("logs")[0].name
    with planted(fleet, store) as canary, exposure.Watch({canary: "canary"}) as watch:
        found = {place for place, name in exposure.on_hosts(fleet, {canary: "canary"}) if name == "canary"}
    expected = {
        "journal", "/proc cmdline of sh", "/proc environ of sh", "/etc/perennial/canary",
        "/var/log/canary.log", "/var/log/canary.log.gz", "/var/log/canary.log.zst",
    }  # fmt: skip
    assert {f"{store}: {place}" for place in expected} <= found
    assert [place for place in found if place.startswith(f"{store}: /var/log/perennial/{store}/")], found
    assert {place for place, _ in watch.found} >= {"cmdline of sh", "environ of sh"}


def test_the_search_on_this_machine_finds_a_planted_value(fleet: Fleet, tmp_path: Path) -> None:
    """Positive control of the first test, with each kind of value of a real secret."""
    for value, name in wanted(fleet).items():
        file = tmp_path / name
        file.write_text(json.dumps({"log": f"said {value}."}), "utf-8")
        assert (str(file), name) in exposure.in_files([file], wanted(fleet)), name
    assert exposure.in_text(gzip.compress(b"nothing here"), wanted(fleet)) == set()
