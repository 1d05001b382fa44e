# SPDX-License-Identifier: Apache-2.0
"""A lab host of the bench's own for the references: same network, no role of ours, gone at the end of the run."""

from __future__ import annotations

import ipaddress
import shlex
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.lab.core.model import HostSpec, ImageSpec, SecretSpec
from infra.lab.core.nspawn.backend import NspawnBackend
from infra.lab.core.nspawn.cgroup import HostGroup
from infra.lab.core.process import Budget
from infra.lab.core.secrets import generate
from loadtests.bench.figures import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet

NAME = "bench-1"
OFFSET_FROM_END = 5  # .250 of a /24: clear of the addresses that an environment numbers from below
BUDGET_SECONDS = 900
MEMORY_MIB = 2048
PACKAGES = (
    "apache2", "libapache2-mod-php", "mariadb-server", "nginx-light", "wordpress",
    "wordpress-l10n", "wordpress-theme-twentytwentyfive",
)  # fmt: skip


def address_in(subnet: str) -> str:
    """Return the reference host's address in `subnet`: .250 of a /24."""
    network = ipaddress.IPv4Network(subnet)
    return str(network.broadcast_address - OFFSET_FROM_END)


@dataclass(frozen=True)
class ReferenceHost:
    """A running Debian host; everything on it is done over SSH as root."""

    lab: str
    address: str
    ssh: tuple[str, ...]

    def run(self, script: str, *arguments: str, stdin: str = "", timeout: float = 300) -> str:
        """Run a shell script that ends at its first failure; secrets go through `stdin`; return its output."""
        words = shlex.join(["sudo", "-n", "--", "sh", "-euc", script, NAME, *arguments])
        command = [*self.ssh, f"ops@{self.address}", words]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-600:]
            raise BenchError(f"{NAME}: a step of its set-up ended with {done.returncode}: {said}")
        return done.stdout

    def put(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file as root."""
        self.run('umask 077; cat > "$1"; chmod "$2" "$1"', path, mode, stdin=text)

    def limit(self, cpus: float) -> None:
        """Let the host use `cpus` CPUs."""
        HostGroup(self.lab, NAME).limit(MEMORY_MIB, cpus)


@contextmanager
def reference_host(fleet: Fleet) -> Iterator[ReferenceHost]:
    """Boot the reference host for the block; it, its image and its keys go at the end, also after a failure.

    What a killed run left is removed first; `make down` removes it as well, because it belongs to the lab.

    Raises:
        LabError: it cannot be built or booted here.
    """
    backend, budget = NspawnBackend(), Budget(BUDGET_SECONDS)
    environment = fleet.platform.environment
    subnet, cache = str(environment.network.subnet), environment.network.package_cache
    port = cache.port if cache is not None else 3143
    lab, address = fleet.platform.name, address_in(subnet)
    if address in {machine.address for machine in fleet.document.hosts.values()}:
        raise BenchError(f"{address} belongs to a host of {lab}: no place for {NAME}")
    with ExitStack() as undo:
        system = ImageSpec(lab=lab, name="system", suite=environment.suite, cache_port=port)
        base = backend.images.create(system, budget).hash
        image = ImageSpec(
            lab=lab, name="bench", suite=environment.suite, packages=PACKAGES, base=base, cache_port=port
        )
        undo.callback(lambda: backend.images.delete(backend.images.foresee(image), Budget(BUDGET_SECONDS)))
        built = backend.images.create(image, budget)
        key = generate(SecretSpec(name="host-key-bench-1", kind="ssh-key"))
        spec = HostSpec(
            lab=lab, name=NAME, address=address, subnet=subnet, gateway=str(environment.network.gateway),
            cache_url=f"http://{environment.network.gateway}:{port}", image=built.hash, memory_mib=MEMORY_MIB, cpus=1,
            authorized_key=fleet.secret("ssh-operator")["public_key"], host_key_private=key.value,
        )  # fmt: skip
        state = backend.hosts.foresee(spec)
        backend.hosts.delete(state, budget)
        undo.callback(lambda: backend.hosts.delete(state, Budget(BUDGET_SECONDS)))
        backend.hosts.create(spec, budget)
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="bench-ssh-")))
        (folder / "known_hosts").write_text(f"{address} {state.host_key}\n", encoding="utf-8")
        yield ReferenceHost(lab, address, _ssh(fleet.key_file, folder / "known_hosts"))


def _ssh(key: Path, known_hosts: Path) -> tuple[str, ...]:
    return (
        "ssh", "-T", "-i", str(key), f"-oUserKnownHostsFile={known_hosts}", "-oStrictHostKeyChecking=yes",
        "-oIdentitiesOnly=yes", "-oBatchMode=yes", "-oConnectTimeout=10", "-oLogLevel=ERROR",
    )  # fmt: skip
