# SPDX-License-Identifier: Apache-2.0
"""A lab host of the bench's own for the references: same network, no role of ours, gone with the run."""

from __future__ import annotations

import ipaddress
import shlex
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.lab.core.model import HostSpec, ImageSpec, NetworkSpec, SecretSpec
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
        """Run a shell script up to its first failure; secrets go through `stdin`; return its output."""
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
    with ExitStack() as undo:
        base = backend.images.create(_image(fleet, "system"), budget).hash
        image = _image(fleet, "bench", base, PACKAGES)
        undo.callback(lambda: backend.images.delete(backend.images.foresee(image), Budget(BUDGET_SECONDS)))
        spec = _host(fleet, backend.images.create(image, budget).hash)
        state = backend.hosts.foresee(spec)
        backend.hosts.delete(state, budget)
        undo.callback(lambda: backend.hosts.delete(state, Budget(BUDGET_SECONDS)))
        backend.hosts.create(spec, budget)
        folder = undo.enter_context(tempfile.TemporaryDirectory(prefix="bench-ssh-"))
        known_hosts = Path(folder) / "known_hosts"
        known_hosts.write_text(f"{spec.address} {state.host_key}\n", encoding="utf-8")
        yield ReferenceHost(spec.lab, spec.address, _ssh(fleet.key_file, known_hosts))


def _cache_port(fleet: Fleet) -> int:
    cache = fleet.platform.environment.network.package_cache
    return cache.port if cache is not None else NetworkSpec.model_fields["cache_port"].default


def _image(fleet: Fleet, name: str, base: str = "", packages: tuple[str, ...] = ()) -> ImageSpec:
    """Return an image of the lab; the one named `system`, without packages, is what its hosts stand on."""
    return ImageSpec(
        lab=fleet.platform.name,
        name=name,
        suite=fleet.platform.environment.suite,
        packages=packages,
        base=base,
        cache_port=_cache_port(fleet),
    )


def _host(fleet: Fleet, image: str) -> HostSpec:
    """Return the host with a key of its own; raise BenchError where its address is taken."""
    network = fleet.platform.environment.network
    address, gateway = address_in(str(network.subnet)), str(network.gateway)
    if address in {machine.address for machine in fleet.document.hosts.values()}:
        raise BenchError(f"{address} belongs to a host of {fleet.platform.name}: no place for {NAME}")
    return HostSpec(
        lab=fleet.platform.name,
        name=NAME,
        address=address,
        subnet=str(network.subnet),
        gateway=gateway,
        cache_url=f"http://{gateway}:{_cache_port(fleet)}",
        image=image,
        memory_mib=MEMORY_MIB,
        cpus=1,
        authorized_key=fleet.secret("ssh-operator")["public_key"],
        host_key_private=generate(SecretSpec(name=f"host-key-{NAME}", kind="ssh-key")).value,
    )


def _ssh(key: Path, known_hosts: Path) -> tuple[str, ...]:
    return (
        "ssh", "-T", "-i", str(key), f"-oUserKnownHostsFile={known_hosts}", "-oStrictHostKeyChecking=yes",
        "-oIdentitiesOnly=yes", "-oBatchMode=yes", "-oConnectTimeout=10", "-oLogLevel=ERROR",
    )  # fmt: skip
