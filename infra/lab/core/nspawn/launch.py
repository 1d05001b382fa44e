# SPDX-License-Identifier: Apache-2.0
"""Starts a host's systemd-nspawn, detached from the command that asked for it."""

from __future__ import annotations

import subprocess

from infra.lab.core.model import HostSpec
from infra.lab.core.nspawn.cgroup import HostGroup
from infra.lab.core.nspawn.paths import Paths, bridge
from infra.lab.core.nspawn.volume import data_directory
from infra.lab.core.process import Budget

# Exit 133 is how systemd-nspawn says that the guest asked for a reboot. $1 counts the cgroup files that the
# supervisor joins, $2 those of the guest; then the files, then the command.
_KEEPER = """
n=$1 m=$2; shift 2
while [ $n -gt 0 ]; do echo 0 > "$1"; shift; n=$((n-1)); done
while :; do
  ( while [ $m -gt 0 ]; do echo 0 > "$1"; shift; m=$((m-1)); done; exec "$@" )
  [ $? -eq 133 ] || exit 0
done
"""
# Nothing of the caller's environment (Pulumi's passphrase among it) reaches a guest.
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}


def launch(paths: Paths, spec: HostSpec, group: HostGroup, budget: Budget) -> None:
    """Begin to boot the host's mounted tree; the host outlives the caller."""
    group.create(spec.memory_mib, spec.cpus)
    keeper, inner = group.members("keeper"), group.members("guest")
    home = paths.host(spec.lab, spec.name)
    with (home / "console").open("wb") as console:
        keep = subprocess.Popen(
            [
                "sh",
                "-c",
                _KEEPER,
                "perennial-host",
                str(len(keeper)),
                str(len(inner)),
                *keeper,
                *inner,
                *_nspawn(paths, spec),
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
            env=_ENVIRONMENT,
            cwd="/",
        )
    while not group.processes() and keep.poll() is None:
        budget.pause(0.005, f"starting host {spec.name}")


def machine_name(lab: str, host: str) -> str:
    """The host's name among all systemd-nspawn guests of this machine."""
    return f"{lab}-{host}"


def _nspawn(paths: Paths, spec: HostSpec) -> list[str]:
    binds = [f"--bind={data_directory(paths, spec.lab, mount.volume)}:{mount.path}" for mount in spec.mounts]
    return [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--register=no",
        "--keep-unit",
        "--console=read-only",
        f"--machine={machine_name(spec.lab, spec.name)}",
        f"--hostname={spec.name}",
        f"--directory={paths.host(spec.lab, spec.name) / 'root'}",
        f"--network-bridge={bridge(spec.lab)}",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        *binds,
    ]
