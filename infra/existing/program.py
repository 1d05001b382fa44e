# SPDX-License-Identifier: Apache-2.0
"""What machines that exist already hand over: plain data from plain data, so that tests need no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.inventory.document import fleet_document

if TYPE_CHECKING:
    from infra.spec import Platform

# nobody here can make another machine in place of a lost one
CAPABILITIES = ("reboot",)


def fleet(platform: Platform) -> dict[str, Any]:
    """Return the document `fleet/1`; host keys are those that the environment file pins."""
    pinned = {name: host.host_key or "" for name, host in platform.environment.hosts.items()}
    return fleet_document(platform, pinned, CAPABILITIES)


def accounts(platform: Platform) -> list[str]:
    """Return `account@address` of every enabled host, as an operator gets in before the first converge."""
    return [f"{host.ssh_user}@{host.address}" for host in platform.hosts.values() if not host.disabled]


def authorize(platform: Platform, public_key: str) -> dict[str, Any]:
    """Return the generated operator key and the commands that let it in.

    Args:
        platform: the environment's description.
        public_key: the line for `authorized_keys`; not confidential.

    Returns:
        `key` and `commands`; no command where the operator's own key (`ssh_key_file`) is used.
    """
    if platform.environment.ssh_key_file is not None:
        return {"key": public_key.strip(), "commands": []}
    append = f"mkdir -p -m 700 ~/.ssh && echo '{public_key.strip()}' >> ~/.ssh/authorized_keys"
    return {
        "key": public_key.strip(),
        "commands": [f'ssh {account} "{append}"' for account in accounts(platform)],
    }
