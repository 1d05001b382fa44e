# SPDX-License-Identifier: Apache-2.0
"""Reads what `doctor` judges from this machine and checkout; changes nothing."""

from __future__ import annotations

import ipaddress
import os
import platform
import shutil
import socket
import stat
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from infra.lab.core.nspawn.cgroup import HostGroup, host_groups
from infra.lab.core.nspawn.mounts import mount_table
from infra.lab.core.nspawn.paths import Paths as LabPaths
from infra.spec import load
from infra.toolchain import passphrase, private_state, pulumi_cli, venv
from infra.toolchain.doctor import Facts
from infra.toolchain.errors import IntegrityError
from infra.toolchain.paths import Paths

COMMANDS = (
    "systemd-nspawn", "mmdebstrap", "apt-cacher-ng", "nft", "ip", "ssh", "losetup", "mkfs.ext4", "git",
)  # fmt: skip
_BRIDGE_PREFIX = "pl-"


def _command(name: str) -> bool:
    """Tell whether a program is here; a plain `su` leaves the system folders out of PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") is not None


def _has_module(name: str, folder: str) -> bool:
    """Tell whether the kernel can do `name`: built in or loaded, or a module that it will load when asked."""
    if any(line.split()[-1] == name for line in Path("/proc/filesystems").read_text().splitlines()):
        return True
    return any(Path("/lib/modules", platform.release(), "kernel", folder).glob(f"{name}.ko*"))


def _nftables_error() -> str:
    if shutil.which("nft") is None or os.geteuid() != 0:
        return ""  # other checks speak of these
    done = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=20, check=False)
    return done.stderr.strip() if done.returncode else ""


def _nearest_existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _addresses() -> tuple[tuple[str, str], ...]:
    found = []
    for link, addresses in psutil.net_if_addrs().items():
        for address in addresses:
            if address.family is socket.AF_INET and address.netmask:
                network = ipaddress.ip_network(f"{address.address}/{address.netmask}", strict=False)
                if not network.is_loopback:
                    found.append((link, str(network)))
    return tuple(sorted(found))


def _command_line(process: int | None) -> list[str]:
    try:
        return psutil.Process(process).cmdline() if process else []
    except psutil.Error:
        return []


def _port_holder(port: int, labs: LabPaths) -> str:
    """Name the program that listens on a port, unless it is the labs' own package cache."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            command = _command_line(connection.pid)
            if str(labs.cache / "conf") not in command:
                return f"{' '.join(command[:2]) or 'another program'} (process {connection.pid})"
    return ""


def _folders(path: Path) -> frozenset[str]:
    return frozenset(item.name for item in path.iterdir() if item.is_dir()) if path.is_dir() else frozenset()


def _mounts(labs: LabPaths, lab: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the lab's hosts whose tree is mounted, and all labs that have mounts."""
    points = [entry.path for entry in mount_table() if labs.labs in entry.path.parents]
    hosts = {
        path.parent.name
        for path in points
        if path.name == "root" and path.parents[1] == labs.lab(lab) / "hosts"
    }
    return frozenset(hosts), frozenset(path.relative_to(labs.labs).parts[0] for path in points)


def _running(lab: str) -> frozenset[str]:
    return frozenset(name for name in host_groups(lab) if HostGroup(lab, name).processes())


def _passphrase_fits(paths: Paths, environment: str) -> bool | None:
    if not paths.passphrase.is_file():
        return None
    for state in (paths.backend / ".pulumi" / "stacks").glob(f"*/{environment}.json"):
        try:
            salt = passphrase.salt_of(state)
            if salt:
                return passphrase.fits(paths.passphrase.read_text().strip(), salt)
        except IntegrityError:
            return None
    return None


def _newest_commit(paths: Paths) -> datetime | None:
    command = ["git", "-C", str(paths.root), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    text = done.stdout.strip()
    return datetime.fromtimestamp(int(text), UTC) if done.returncode == 0 and text.isdigit() else None


def read_facts(environment: str, paths: Paths = Paths(), labs: LabPaths = LabPaths()) -> Facts:
    """Look at the machine and the checkout.

    Args:
        environment: Name of an environment in ``inventories/``.
        paths: The checkout.
        labs: Where labs keep their files.

    Raises:
        infra.spec.errors.SpecError: When the environment's description is not valid.
    """
    described = load(environment).environment
    cache = described.network.package_cache
    facts = Facts(
        environment=environment,
        substrate=described.substrate,
        subnet=str(described.network.subnet),
        port=cache.port if cache else 0,
        port_holder=_port_holder(cache.port, labs) if cache else "",
    )
    return _with_checkout(_with_labs(_with_machine(facts, _nearest_existing(labs.root)), labs), paths)


def _with_machine(facts: Facts, place: Path) -> Facts:
    """Add what this machine has and can do; ``place`` is where the files of labs would be."""
    return replace(
        facts,
        root=os.geteuid() == 0,
        missing_commands=tuple(command for command in COMMANDS if not _command(command)),
        overlay=_has_module("overlay", "fs/overlayfs"),
        loop=Path("/dev/loop-control").exists() or _has_module("loop", "drivers/block"),
        nftables_error=_nftables_error(),
        cgroups=any(Path("/sys/fs/cgroup").glob("**/cgroup.procs")),
        disk_free=shutil.disk_usage(place).free,
        disk_path=place,
        memory_available=psutil.virtual_memory().available,
        addresses=_addresses(),
    )


def _with_labs(facts: Facts, labs: LabPaths) -> Facts:
    """Add what is there of the environment's hosts, and of other labs."""
    mounted_hosts, mounted_labs = _mounts(labs, facts.environment)
    links = psutil.net_if_stats()
    return replace(
        facts,
        known_hosts=_folders(labs.lab(facts.environment) / "hosts"),
        running_hosts=_running(facts.environment),
        mounted_hosts=mounted_hosts,
        labs=_folders(labs.labs),
        bridged_labs=frozenset(
            link.removeprefix(_BRIDGE_PREFIX) for link in links if link.startswith(_BRIDGE_PREFIX)
        ),
        mounted_labs=mounted_labs,
    )


def _with_checkout(facts: Facts, paths: Paths) -> Facts:
    """Add what the checkout holds: state, passphrase, tools."""
    file = paths.passphrase
    return replace(
        facts,
        stacks=tuple(private_state.stacks(paths)),
        passphrase_mode=stat.S_IMODE(file.stat().st_mode) if file.is_file() else None,
        passphrase_fits=_passphrase_fits(paths, facts.environment),
        venv_current=venv.is_current(paths),
        pulumi_version=pulumi_cli.version_of(paths.pulumi),
        language_host=paths.pulumi.with_name("pulumi-language-python").exists(),
        newest_commit=_newest_commit(paths),
    )
