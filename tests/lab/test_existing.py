# SPDX-License-Identifier: Apache-2.0
"""The `existing` substrate on hosts made by hand: bare Debian, another account, nothing that Pulumi knows.

Everything happens in a copy of the checkout with a state of its own, in a lab named `hand`, which goes again.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from infra.lab.core.model import HostSpec, ImageSpec, NetworkSpec, SecretSpec, SecretState
from infra.lab.core.nspawn.backend import NspawnBackend
from infra.lab.core.nspawn.cgroup import HostGroup
from infra.lab.core.nspawn.guest import inside, leader
from infra.lab.core.process import Budget, run
from infra.lab.core.secrets import generate
from infra.spec import CHECKOUT
from loadtests.bench.copy_of_checkout import copied_checkout
from tests.traces import left_behind, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.slow]

LAB, NETWORK = "hand", NetworkSpec(lab="hand", subnet="10.84.0.0/24", gateway="10.84.0.1")
MEMORY_MIB = {"small": 512, "medium": 1024, "large": 2048}
WHOLE = {
    "host-a": ("small", ["edge"]),
    "host-b": ("large", ["app", "monitoring", "logs", "control"]),
    "host-c": ("medium", ["database"]),
}
# logs alone, as they bring the fewest packages: this host is there, the others are only described
ONE_OF_FOUR = WHOLE | {
    "host-b": ("large", ["app", "monitoring", "control"]),
    "host-d": ("small", ["logs"]),
}
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=0", re.MULTILINE)

# $1 key. What the lab's image brings for its own use goes, and an installer's usual account comes.
BY_HAND = r"""
set -eu
userdel --remove ops
rm -f /etc/sudoers.d/ops /etc/ssh/sshd_config.d/00-lab.conf /etc/apt/apt.conf.d/01proxy
dpkg --purge nftables >/dev/null
useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/90-installer
install -d -m 0700 -o admin -g admin ~admin/.ssh
if [ -n "$1" ]; then echo "$1" > ~admin/.ssh/authorized_keys; chown admin: ~admin/.ssh/authorized_keys; fi
systemctl reload ssh
"""


def budget() -> Budget:
    """Enough time for a base system on a busy machine."""
    return Budget(900)


def sweep() -> None:
    """Remove the lab `hand`, also one that an interrupted run left."""
    backend = NspawnBackend()
    backend.networks.delete(backend.networks.foresee(NETWORK), budget())


@dataclass
class ByHand:
    """Bare hosts, and a checkout whose environment `hand` names them."""

    copy: Path
    addresses: dict[str, str]
    hosts: dict[str, HostSpec] = field(default_factory=dict)

    def inside(self, name: str, script: str, *arguments: str) -> str:
        """Run a shell script as root in a host, by no way that Perennial knows."""
        pid = leader(HostGroup(LAB, name))
        assert pid is not None
        return run(inside(pid, "sh", "-c", script, "sh", *arguments), budget())

    def program(self, *command: str, cwd: str = ".", seconds: float = 1500) -> tuple[int, str]:
        """Run a program in the copy as a person would there; return exit code and everything it said."""
        own = {**os.environ, "PYTHONPATH": str(self.copy), "PULUMI_STACK": LAB}
        done = subprocess.run(
            command,
            cwd=self.copy / cwd,
            env=own,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=seconds,
        )
        return done.returncode, done.stdout

    def make(self, target: str, *arguments: str) -> tuple[int, str]:
        """Run one make target of ours on the environment `hand`."""
        return self.program(self.tool("python"), "-m", "infra.make", target, "--env", LAB, *arguments)

    def playbook(self, *arguments: str) -> dict[str, int]:
        """Run the playbook, which must end well; return how many tasks changed each host."""
        command = (self.tool("ansible-playbook"), "-i", f"inventories/{LAB}.yml", "site.yml", *arguments)
        code, said = self.program(*command)
        assert code == 0, said[-6000:]
        return {name: int(changed) for name, changed in RECAP.findall(said)}

    def tool(self, name: str) -> str:
        """Return a program of the virtual environment as the copy sees it."""
        return str(self.copy / ".venv" / "bin" / name)


def _environment(hosts: dict[str, tuple[str, list[str]]], keys: dict[str, str], own: Path | None) -> Any:
    """Return the environment file that a person writes for hosts given by address."""
    data: dict[str, Any] = YAML(typ="safe").load((CHECKOUT / "inventories" / "lab.yml").read_text("utf-8"))
    gateway = NETWORK.gateway
    data |= {
        "environment": LAB, "substrate": "existing", "disposable": False, "internal_domain": "hand.internal",
        "vip": {"mode": "vrrp", "address": "10.84.0.10", "router_id": 84},
        "network": {
            "subnet": NETWORK.subnet, "gateway": gateway, "operators": [gateway],
            "package_cache": {"address": gateway, "port": 3143},
        },
        "sites": {"community": {"domain": "community.hand.test"}},
        "volumes": {},
        "hosts": {
            name: {"address": _address(name), "size": size, "roles": roles, "ssh_user": "admin",
                   "host_key": keys[name]}
            for name, (size, roles) in hosts.items()
        },
    }  # fmt: skip
    return data | ({"ssh_key_file": str(own)} if own else {})


def _address(name: str) -> str:
    return f"10.84.0.{11 + ord(name[-1]) - ord('a')}"


def _line(public: str) -> str:
    """Return a public key as ssh-keyscan prints it: without comment."""
    return " ".join(public.split()[:2])


def _described(copy: Path, environment: Any) -> None:
    """Give the copy a state of its own and the environment file, committed as an adopter would."""
    (copy / ".state").unlink()
    (copy / ".state").mkdir(mode=0o700)
    if (CHECKOUT / ".state" / "wheels").is_dir():  # downloaded packages only
        (copy / ".state" / "wheels").symlink_to(CHECKOUT / ".state" / "wheels")
    with (copy / "inventories" / f"{LAB}.yml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(environment, file)
    git = ["git", "-C", str(copy), "-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run([*git, "add", "--all", "inventories", "infra", "roles"], check=True, timeout=60)
    subprocess.run([*git, "commit", "--quiet", "--message=Hosts by hand"], check=True, timeout=60)
    ready = "from infra.toolchain import paths, private_state as p; p.ensure(paths.Paths(), print)"
    environment_of_copy = {**os.environ, "PYTHONPATH": str(copy)}
    command = [str(copy / ".venv" / "bin" / "python"), "-c", ready]
    subprocess.run(command, cwd=copy, env=environment_of_copy, check=True, timeout=60)


def _bare(
    described: dict[str, tuple[str, list[str]]], made: tuple[str, ...], private: dict[str, SecretState]
) -> Iterator[HostSpec]:
    """Make the network, the image and the hosts named in `made`, each with a host key of its own."""
    backend = NspawnBackend()
    network = backend.networks.create(NETWORK, budget())
    image = backend.images.create(ImageSpec(lab=LAB, name="system"), budget())
    for name in made:
        spec = HostSpec(
            lab=LAB,
            name=name,
            address=_address(name),
            subnet=network.subnet,
            gateway=network.gateway,
            cache_url=network.cache_url,
            image=image.hash,
            memory_mib=MEMORY_MIB[described[name][0]],
            cpus=2,
            authorized_key=private[name].public,
            host_key_private=private[name].value,
        )
        backend.hosts.create(spec, budget())
        yield spec


@contextmanager
def hosts_by_hand(
    described: dict[str, tuple[str, list[str]]], made: tuple[str, ...], own: Path | None, public: str
) -> Iterator[ByHand]:
    """Make bare hosts and a checkout that describes them; nothing of either stays.

    Args:
        described: size and roles of each host in the environment file.
        made: those that exist.
        own: private key file of the operator, where there is one.
        public: its public half, which the hosts' account `admin` knows; empty: nobody gets in yet.
    """
    sweep()
    before = snapshot()
    private = {name: generate(SecretSpec(name=name, kind="ssh-key")) for name in described}
    keys = {name: _line(key.public) for name, key in private.items()}
    try:
        with copied_checkout() as copy:
            _described(copy, _environment(described, keys, own))
            found = ByHand(copy, {name: _address(name) for name in described})
            for spec in _bare(described, made, private):
                found.hosts[spec.name] = spec
                found.inside(spec.name, BY_HAND, public)
            yield found
    finally:
        sweep()
    assert left_behind(before, snapshot(), LAB) == {}


@pytest.fixture(name="own_key")
def fixture_own_key(tmp_path: Path) -> tuple[Path, str]:
    """Return an operator's own private key file and its public half."""
    key = generate(SecretSpec(name="own", kind="ssh-key"))
    path = tmp_path / "own_key"
    path.touch(mode=0o600)
    path.write_text(key.value, "utf-8")
    return path, key.public


@pytest.mark.timeout(900)
def test_a_bare_host_becomes_ours_and_its_account_still_gets_in(own_key: tuple[Path, str]) -> None:
    """Roles install onto plain Debian, take over SSH and firewall, and shut out nobody who may come in."""
    with hosts_by_hand(ONE_OF_FOUR, ("host-d",), *own_key) as ours:
        # a module that Ansible installs on the way is found only by the run after
        ours.inside("host-d", "mv /usr/lib/python3/dist-packages/apt /root")
        code, said = ours.make("up", "--yes")
        assert (code, "host-d: has no Python that knows apt" in said) == (4, True), said[-6000:]
        ours.inside("host-d", "mv /root/apt /usr/lib/python3/dist-packages/")

        code, said = ours.make("up", "--yes")
        assert code == 4, said[-6000:]
        assert "no host was changed; 3 in the way" in said
        assert "host-a: no way in as admin@10.84.0.11" in said
        assert "host-d:" not in said
        assert ours.inside("host-d", "ls /usr/sbin | grep -cE '^(nft|chronyd)$'; exit 0") == "0\n"

        only = ("--limit", "host-d", "--tags", "base,tls,firewall")
        assert ours.playbook(*only)["host-d"] > 0
        assert ours.playbook(*only) == {"host-d": 0}

        assert ours.inside("host-d", "ls /usr/sbin | grep -cE '^(nft|chronyd)$'; exit 0") == "2\n"
        rules = ours.inside("host-d", "nft list chain inet perennial input")
        assert "10.84.0.1 tcp dport 22 accept" in rules.replace("{ ", "").replace(" }", "")
        effective = ours.inside("host-d", "sshd -T").splitlines()
        assert {"allowusers ops", "allowusers admin", "permitrootlogin no"} <= set(effective)

        code, said = ours.make("down", "--yes")
        assert (code, "not disposable" in said) == (4, True), said


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_the_whole_foundation_runs_on_three_hosts_made_by_hand(request: pytest.FixtureRequest) -> None:
    """From a closed door to a served page: the generated key is let in by the lines that make up prints."""
    if "drill" not in request.config.getoption("markexpr"):
        pytest.skip("takes ten minutes and more: make drill AREA=foundation")
    with hosts_by_hand(WHOLE, tuple(WHOLE), None, "") as ours:
        code, said = ours.make("up", "--yes")
        assert code == 4, said[-6000:]
        assert "no host was changed; 3 in the way" in said

        code, text = ours.program(
            str(ours.copy / ".tools/bin/pulumi"), "stack", "output", "authorize", "--json",
            cwd="infra/existing",
        )  # fmt: skip
        assert code == 0, text
        told = json.loads(text)
        assert all(command in said for command in told["commands"])
        for name, command in zip(ours.hosts, told["commands"], strict=True):
            assert command.startswith(f"ssh admin@{ours.addresses[name]} ")
            line = command.split(" ", 2)[2].strip('"')
            ours.inside(name, 'runuser -l admin -c "$1"', line)

        code, said = ours.make("up", "--yes")
        assert code == 0, said[-8000:]
        assert "hand is up: 3 hosts" in said
        code, page = ours.program(
            "curl", "--silent", "--show-error", "--fail", "--max-time", "20",
            "--cacert", str(ours.copy / ".state" / LAB / "authority.crt"),
            "--resolve", "community.hand.test:443:10.84.0.10", "https://community.hand.test/",
        )  # fmt: skip
        assert code == 0, page[-2000:]
        assert "<html" in page

        changed = ours.playbook("--check")
        assert changed == dict.fromkeys(WHOLE, 0)
