# SPDX-License-Identifier: Apache-2.0
"""Names what is missing or wrong on this machine and in this checkout, each with the command that mends it.

`checks` judges facts and reads nothing itself; `read_facts` in `doctor_facts` looks at the machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from infra.toolchain.pulumi_cli import FLOOR, is_usable

GIB = 1024**3
DISK_FRESH = 8 * GIB
"""Free disk that a lab from nothing needs: images, package cache, volumes, state."""
DISK_RUNNING = 2 * GIB
"""Free disk below which a lab that is up will soon fail."""
MEMORY_FRESH = 10 * GIB
"""Available memory that a lab needs together with the tests' load generators."""
CLOCK_LATEST = datetime(2100, 1, 1, tzinfo=UTC)

FAILED, UNREACHABLE, KEY, NO_SPACE, CONFIGURATION = 1, 5, 7, 9, 64
_PRECEDENCE = (CONFIGURATION, KEY, NO_SPACE, UNREACHABLE, FAILED)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: Short name of the check.
        problem: What is wrong, and where.
        mend: The command, or the act, that mends it.
        exit_code: From the project's table of exit codes.
    """

    check: str
    problem: str
    mend: str
    exit_code: int = CONFIGURATION


@dataclass(frozen=True)
class Facts:
    """What the checks judge; the defaults describe a healthy machine with no lab."""

    environment: str = "lab"
    substrate: str = "lab"
    root: bool = True
    missing_commands: tuple[str, ...] = ()
    overlay: bool = True
    loop: bool = True
    nftables_error: str = ""
    cgroups: bool = True
    disk_free: int = 100 * GIB
    disk_path: Path = Path("/var/lib")
    memory_available: int = 16 * GIB
    subnet: str = "10.87.0.0/24"
    addresses: tuple[tuple[str, str], ...] = ()
    """Link and network (``10.0.0.0/8``) of every address of this machine, loopback left out."""
    port: int = 3143
    port_holder: str = ""
    """Who listens on the package cache's port, if it is not our cache."""
    known_hosts: frozenset[str] = frozenset()
    """Hosts of the environment that have a description on this machine."""
    running_hosts: frozenset[str] = frozenset()
    """Hosts of the environment that have processes."""
    mounted_hosts: frozenset[str] = frozenset()
    labs: frozenset[str] = frozenset()
    """Labs that have files on this machine."""
    bridged_labs: frozenset[str] = frozenset()
    mounted_labs: frozenset[str] = frozenset()
    stacks: tuple[str, ...] = ()
    passphrase_mode: int | None = 0o600
    """Permission bits of the passphrase file; None when there is no file."""
    passphrase_fits: bool | None = None
    """Whether it opens the environment's state; None when there is no state to try."""
    venv_current: bool = True
    pulumi_version: tuple[int, int, int] | None = FLOOR
    language_host: bool = True
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    newest_commit: datetime | None = None


def _privileges(facts: Facts) -> Iterator[Finding]:
    if not facts.root:
        yield Finding("root", "not root; a lab mounts file systems and makes links", "run as root: sudo -i")


def _commands(facts: Facts) -> Iterator[Finding]:
    if facts.missing_commands:
        yield Finding("commands", f"missing: {', '.join(facts.missing_commands)}", "make setup")


def _kernel(facts: Facts) -> Iterator[Finding]:
    if not facts.overlay:
        yield Finding("overlayfs", "the kernel has no overlay file system", "modprobe overlay")
    if not facts.loop:
        yield Finding("loop devices", "there is no /dev/loop-control", "modprobe loop")
    if facts.nftables_error:
        yield Finding("nftables", f"nft does not work: {facts.nftables_error}", "modprobe nf_tables")
    if not facts.cgroups:
        yield Finding(
            "cgroups", "no cgroup tree is mounted at /sys/fs/cgroup", "mount it, or boot with systemd"
        )


def _space(facts: Facts) -> Iterator[Finding]:
    needed = DISK_RUNNING if facts.known_hosts else DISK_FRESH
    if facts.disk_free < needed:
        what = f"{facts.disk_free / GIB:.1f} GiB free at {facts.disk_path}, {needed // GIB} GiB needed"
        yield Finding("disk", what, f"free space on that file system: df -h {facts.disk_path}", NO_SPACE)


def _memory(facts: Facts) -> Iterator[Finding]:
    if not facts.running_hosts and facts.memory_available < MEMORY_FRESH:
        what = f"{facts.memory_available / GIB:.1f} GiB of memory available, {MEMORY_FRESH // GIB} GiB needed"
        yield Finding("memory", what, "end other programs: ps aux --sort=-rss | head", FAILED)


def _subnet(facts: Facts) -> Iterator[Finding]:
    wanted = ipaddress.ip_network(facts.subnet)
    for link, network in facts.addresses:
        if link != f"pl-{facts.environment}" and wanted.overlaps(ipaddress.ip_network(network, strict=False)):
            yield Finding(
                "subnet",
                f"{facts.subnet} of environment {facts.environment} is in use by link {link} ({network})",
                f"choose another one: network.subnet in inventories/{facts.environment}.yml",
            )


def _port(facts: Facts) -> Iterator[Finding]:
    if facts.port_holder:
        what = f"port {facts.port} of the package cache is in use by {facts.port_holder}"
        place = f"network.package_cache.port in inventories/{facts.environment}.yml"
        yield Finding("port", what, f"end that program, or choose another port: {place}")


def _hosts(facts: Facts) -> Iterator[Finding]:
    again = f"make up ENV={facts.environment}"
    down = facts.known_hosts - facts.running_hosts
    if down:
        names = ", ".join(sorted(down))
        yield Finding("hosts", f"not running, as after a reboot or a crash: {names}", again, UNREACHABLE)
    bare = (facts.known_hosts & facts.running_hosts) - facts.mounted_hosts
    if bare:
        yield Finding(
            "mounts", f"running without their file system: {', '.join(sorted(bare))}", again, FAILED
        )
    stray = facts.running_hosts - facts.known_hosts
    if stray:
        names = ", ".join(sorted(stray))
        mend = f"make down ENV={facts.environment}"
        yield Finding("processes", f"processes of hosts that are no longer described: {names}", mend, FAILED)


def _remains(facts: Facts) -> Iterator[Finding]:
    for lab in sorted(facts.bridged_labs - facts.labs):
        problem = f"bridge pl-{lab} of a lab that has no files any more"
        yield Finding(
            "bridge", problem, f"ip link delete pl-{lab}; nft delete table inet perennial_{lab}", FAILED
        )
    for lab in sorted(facts.mounted_labs - facts.labs - facts.bridged_labs):
        yield Finding("mounts", f"mounts of lab {lab}, which is gone", f"make down ENV={lab}", FAILED)


def _passphrase(facts: Facts) -> Iterator[Finding]:
    if facts.passphrase_mode is None:
        if facts.stacks:
            problem = f".state/passphrase is missing; it encrypts the secrets of {', '.join(facts.stacks)}"
            yield Finding("passphrase", problem, "restore the file from your copy of it", KEY)
        else:
            yield Finding("passphrase", ".state/passphrase is missing", "make setup", KEY)
    elif facts.passphrase_mode & 0o077:
        yield Finding(
            "passphrase", ".state/passphrase can be read by others", "chmod 600 .state/passphrase", KEY
        )
    if facts.passphrase_fits is False:
        problem = f".state/passphrase is not the one that the state of {facts.environment} is encrypted with"
        yield Finding("passphrase", problem, "restore the file from your copy of it", KEY)


def _tools(facts: Facts) -> Iterator[Finding]:
    if not facts.venv_current:
        yield Finding("libraries", ".venv does not hold what requirements/dev.txt says", "make setup")
    if not is_usable(facts.pulumi_version):
        floor = ".".join(map(str, FLOOR))
        found = ".".join(map(str, facts.pulumi_version)) if facts.pulumi_version else "none that runs"
        yield Finding("pulumi", f"Pulumi CLI {floor} or later (3.x) is needed; found: {found}", "make setup")
    if not facts.language_host:
        yield Finding("language host", "no pulumi-language-python beside the Pulumi CLI", "make setup")


def _clock(facts: Facts) -> Iterator[Finding]:
    if facts.newest_commit is not None and facts.now < facts.newest_commit:
        problem = f"the clock says {facts.now:%Y-%m-%d %H:%M} UTC, before this checkout's newest commit"
        yield Finding("clock", problem, "set it: timedatectl set-ntp true", FAILED)
    elif facts.now >= CLOCK_LATEST:
        problem = f"the clock says {facts.now:%Y-%m-%d %H:%M} UTC"
        yield Finding("clock", problem, "set it: timedatectl set-ntp true", FAILED)


ANYWHERE: tuple[Callable[[Facts], Iterable[Finding]], ...] = (_tools, _passphrase, _clock)
LAB_ONLY: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    _privileges, _commands, _kernel, _space, _memory, _subnet, _port, _hosts, _remains,
)  # fmt: skip


def checks(facts: Facts) -> list[Finding]:
    """Judge the facts; an empty list means that nothing is wrong."""
    chosen = (*LAB_ONLY, *ANYWHERE) if facts.substrate == "lab" else ANYWHERE
    return [finding for check in chosen for finding in check(facts)]


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the exit code for the findings: the one to mend first; 0 when there are none."""
    present = {finding.exit_code for finding in findings}
    return next((code for code in _PRECEDENCE if code in present), 0)
