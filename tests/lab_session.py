# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the layers that need a lab: one lab a session, made from nothing, removed again.

PERENNIAL_TEST_ENV names an environment that is up already (it is then neither made nor removed);
PERENNIAL_KEEP_LAB=1 leaves the lab `test` running for the next session.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import testinfra

from infra.inventory import Fleet, FleetError, read_fleet
from infra.spec import CHECKOUT, Host, Platform, load
from loadtests.probe import Target
from tests.traces import left_behind, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testinfra.host import Host as RemoteHost

ENVIRONMENT = os.environ.get("PERENNIAL_TEST_ENV", "test")


def make(target: str, *arguments: str, environment: str = ENVIRONMENT) -> subprocess.CompletedProcess[str]:
    """Run one make target of ours as a user would; return the finished process with both outputs together."""
    command = [sys.executable, "-m", "infra.make", target, "--env", environment, *arguments]
    return subprocess.run(
        command,
        cwd=CHECKOUT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=1800,
    )


@pytest.fixture(scope="session")
def platform() -> Platform:
    """Return the description of the lab under test."""
    return load(ENVIRONMENT)


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Return the fleet of a lab that is up: made, removed, and nothing left behind."""
    ours = "PERENNIAL_TEST_ENV" not in os.environ
    before = snapshot() if ours else {}
    if ours:
        result = make("up", "--yes")
        if result.returncode != 0:  # hundreds of tests would each repeat it, and bury the reason
            pytest.exit(f"the lab `test` did not come up:\n{result.stdout[-6000:]}", returncode=1)
    try:
        found = read_fleet(ENVIRONMENT)
    except FleetError as error:  # every test needs it: one line says more than a traceback each
        pytest.exit(str(error), returncode=1)
    yield found
    if ours and not os.environ.get("PERENNIAL_KEEP_LAB"):
        result = make("down", "--yes")
        assert result.returncode == 0, result.stdout[-8000:]
        left = left_behind(before, snapshot(), ENVIRONMENT)
        if left:
            pytest.fail(f"make down left on this machine: {left}", pytrace=False)


def remote(fleet: Fleet, name: str) -> RemoteHost:
    """Return a testinfra host that acts as root through the pinned SSH connection of the fleet."""
    machine = fleet.document.hosts[name]
    control = "/tmp/perennial-ssh/test-%C"
    options = f"-o UserKnownHostsFile={fleet.known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    options += f" -o ControlMaster=auto -o ControlPersist=60 -o ControlPath={control}"
    Path(control).parent.mkdir(mode=0o700, exist_ok=True)
    return testinfra.get_host(
        f"ssh://{machine.user}@{machine.address}:{machine.port}",
        ssh_identity_file=str(fleet.key_file),
        ssh_extra_args=options,
        sudo=True,
    )


@pytest.fixture
def spec_host(request: pytest.FixtureRequest, platform: Platform) -> Host:
    """Return the described host that the test runs against."""
    return platform.hosts[request.param]


@pytest.fixture
def host(spec_host: Host, fleet: Fleet) -> RemoteHost:
    """Return the real host that belongs to `spec_host`."""
    return remote(fleet, spec_host.name)


@pytest.fixture(scope="session")
def authority(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the certificate of the lab's own authority."""
    path = tmp_path_factory.mktemp("tls") / "ca.crt"
    path.write_text(fleet.secret("authority")["certificate"], encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def site(fleet: Fleet, authority: Path) -> Target:
    """Return the site behind the virtual address."""
    first = next(iter(fleet.platform.sites.values()))
    return Target(str(fleet.platform.environment.vip.address), first.domain, authority)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `spec_host` or `host` on every host of its module's role."""
    layer = metafunc.definition.path.parent.name
    if layer not in {"host", "lab"} or not {"host", "spec_host"} & set(metafunc.fixturenames):
        return
    marker = metafunc.definition.get_closest_marker("role")
    if marker is None:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} needs pytest.mark.role(<role>)")
    names = [host.name for host in load(ENVIRONMENT).with_role(marker.args[0], enabled_only=True)]
    metafunc.parametrize("spec_host", names, indirect=True, ids=names)
