# SPDX-License-Identifier: Apache-2.0
"""The control host: a whole release, keys that nobody else reads, and a command that reaches the fleet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host as RemoteHost

    from infra.inventory import Fleet
    from infra.spec import Host, Platform

pytestmark = pytest.mark.role("control")

CONTROL = "/etc/perennial/control"


def test_the_description_of_the_release_is_the_one_that_made_the_lab(
    host: RemoteHost, platform: Platform
) -> None:
    """A control host that works from another description would undo what operators do."""
    listed = host.check_output(f"perennial schedule list --env {platform.name} --json")
    assert {row["host"] for row in json.loads(listed)} <= set(platform.hosts)
    assert host.run("perennial spec check").rc == 0


def test_the_release_runs_on_the_hosts_own_python_without_a_network(host: RemoteHost) -> None:
    """Its environment is its own: nothing of the operator's machine, nothing fetched."""
    release = "/opt/perennial/current"
    found = host.check_output(
        f"{release}/.venv/bin/python -c 'import sys, pydantic, mitogen; print(sys.version)'"
    )
    assert found.startswith("3.13")
    assert host.file(release).is_symlink
    assert not host.file(f"{release}/.git").exists


def test_keys_and_secrets_are_for_the_control_user_alone(host: RemoteHost) -> None:
    """Whoever reads these files owns the fleet."""
    for name, user, mode in (
        ("fleet.json", "root", 0o640),
        ("secrets.json", "root", 0o640),
        ("ssh/id_ed25519", "perennial", 0o600),
        ("ssh/known_hosts", "perennial", 0o600),
    ):
        file = host.file(f"{CONTROL}/{name}")
        assert (file.user, file.group, file.mode) == (user, "perennial", mode)
    for user in ("ops", "nobody", "www-data"):
        assert host.run(f"runuser -u {user} -- cat {CONTROL}/secrets.json").rc != 0


def test_the_operators_key_is_not_there(host: RemoteHost, fleet: Fleet) -> None:
    """A control host that is taken over must not give away the key that lets operators mend it."""
    known = json.loads(host.file(f"{CONTROL}/secrets.json").content_string)["ssh-operator"]
    assert set(known) <= {"kind", "public_key"}
    private = fleet.secret("ssh-operator")["private_key"].strip()
    for path in host.check_output(f"find {CONTROL} -type f").split():
        # compared here: a key in the command line would be one in a process list
        text = host.file(path).content_string
        assert private not in text
        assert json.dumps(private)[1:-1] not in text


def test_the_control_user_cannot_log_in_or_become_root(host: RemoteHost) -> None:
    """It acts on hosts through its key, on its own machine through nothing."""
    user = host.user("perennial")
    assert user.shell == "/usr/sbin/nologin"
    assert host.run("runuser -u perennial -- sudo -n true").rc != 0


def test_the_command_reaches_every_host_with_its_own_key(host: RemoteHost, platform: Platform) -> None:
    """Itself included: the converge check must see this host too."""
    answer = host.run(f"perennial fleet run all --env {platform.name} --yes -- true")
    assert answer.rc == 0, answer.stdout + answer.stderr


def test_converge_check_finds_nothing_and_says_so(
    host: RemoteHost, spec_host: Host, platform: Platform
) -> None:
    """The daily promise: every host is as described, seen from the control host in its sandbox."""
    del spec_host
    unit = "perennial-converge-check"
    started = host.run(f"systemctl start {unit}.service")
    journal = host.check_output(f"journalctl --quiet --unit={unit} --lines=60 --output=cat")
    assert started.rc == 0, journal
    text = host.file(f"/var/lib/perennial/tasks/{unit}/metrics.prom").content_string
    counts = {
        line.split('outcome="')[1].split('"')[0]: line.split()[-1]
        for line in text.splitlines()
        if "outcome=" in line
    }
    enabled = [name for name, machine in platform.hosts.items() if not machine.disabled]
    assert counts == {"hosts": str(len(enabled)), "changed": "0", "failed": "0"}


# Runs on the control host: the list of files is longer than a command line may be.
DAMAGED = """
import hashlib, json, pathlib, sys
release = pathlib.Path(sys.argv[1])
for name, (kind, value, *_) in json.loads((release / "MANIFEST.json").read_text()).items():
    if kind != "link" and hashlib.sha256((release / name).read_bytes()).hexdigest() != value:
        print(name)
"""


def test_a_damaged_file_of_the_release_is_seen(host: RemoteHost) -> None:
    """No stamp replaces looking: the installed manifest tells what the files must be."""
    release = host.check_output("readlink -f /opt/perennial/current")
    answer = host.run("python3 -c %s %s", DAMAGED, release)
    assert (answer.rc, answer.stdout.split()) == (0, []), answer
