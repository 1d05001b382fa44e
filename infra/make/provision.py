# SPDX-License-Identifier: Apache-2.0
"""Provisioning and configuring as steps: `pulumi up | destroy` on a stack, then the playbook."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from infra.make.family import ended_family
from infra.spec import CHECKOUT
from infra.toolchain.stack import recover_stack

if TYPE_CHECKING:
    from infra.make.steps import Steps
    from infra.spec import Platform
    from infra.toolchain.environment_lock import HeldLock

RECAP = re.compile(r"^(?P<host>\S+)\s+: ok=\d+\s+changed=(?P<changed>\d+)\s+unreachable=\d+\s+failed=\d+")


def project(platform: Platform) -> Path:
    """Return the folder of the Pulumi project that provisions the environment."""
    return CHECKOUT / "infra" / platform.environment.substrate


def _pulumi(platform: Platform, *arguments: str) -> tuple[list[str], dict[str, str]]:
    command = [str(CHECKOUT / ".tools" / "bin" / "pulumi"), *arguments, "--non-interactive"]
    return command, {"PULUMI_STACK": platform.name}


def recover(steps: Steps, platform: Platform, held: HeldLock) -> None:
    """Put right what an interrupted run left in the state, before anybody reads it.

    Raises ToolchainError where the state cannot be read or is in use: a wrong passphrase, a Pulumi at work.
    """
    for line in recover_stack(held, project(platform)).lines():
        steps.console.print(f"  [yellow]![/yellow] {line}")


def provision(steps: Steps, platform: Platform) -> None:
    """Bring the machines to what the description says.

    Every lab resource is read before it is compared, so hosts that died since the last run are made again.
    """
    command, variables = _pulumi(platform, "up", "--yes", "--skip-preview")
    name = platform.name
    hint = f"make up ENV={name}; perennial doctor names what is wrong with this machine"
    lines = steps.run(
        "machines (pulumi up)", command, cwd=project(platform), hint=hint, environment=variables
    )
    for line in _resource_counts(lines):
        steps.console.print(f"    [dim]{line}[/dim]")


def _resource_counts(lines: list[str]) -> list[str]:
    """Return Pulumi's own summary lines (`+ 3 created`, `31 unchanged`)."""
    pattern = re.compile(r"^\s+(\+|~|-|\+-)?\s*\d+ (created|updated|deleted|replaced|unchanged)")
    return [line.strip() for line in lines if pattern.match(line)]


def unprovision(steps: Steps, platform: Platform) -> None:
    """Remove what the stack made (a lab: the machines with their data), and the stack."""
    hint = f"make down ENV={platform.name}"
    command, variables = _pulumi(platform, "destroy", "--yes", "--skip-preview", "--remove")
    steps.run(
        "all gone that Pulumi made (pulumi destroy)",
        command,
        cwd=project(platform),
        hint=hint,
        environment=variables,
    )
    if platform.environment.substrate == "lab":
        remove = [sys.executable, "-m", "infra.lab.core.nspawn", "remove", platform.name]
        steps.run("all gone that failed or killed runs left", remove, cwd=CHECKOUT, hint=hint)


def configure(steps: Steps, platform: Platform, *arguments: str) -> dict[str, int]:
    """Run the playbook on the environment; return how many tasks changed each host."""
    command = [
        str(Path(sys.executable).parent / "ansible-playbook"),
        "-i",
        f"inventories/{platform.name}.yml",
    ]
    command += ["site.yml", *arguments]
    hint = f"make converge ENV={platform.name}"
    title = "configuration (ansible-playbook site.yml)"
    with ended_family() as variables:
        lines = steps.run(title, command, cwd=CHECKOUT, hint=hint, environment=variables)
    changed = {match["host"]: int(match["changed"]) for line in lines if (match := RECAP.match(line))}
    steps.console.print(f"    [dim]{sum(changed.values())} changed on {len(changed)} hosts[/dim]")
    return changed
