# SPDX-License-Identifier: Apache-2.0
"""A look at machines of other origin before anything is changed on them; it only reads.

Roles take over SSH and the firewall of a host. Whoever they would shut out, and whatever they cannot work
with, is named here while nothing has happened yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.existing.program import authorize
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.remote import run_many

if TYPE_CHECKING:
    from infra.fleet.remote import Result, Runner
    from infra.inventory import Fleet
    from infra.spec import Host, Platform

# one fact a line, `name value`; sudo is needed by root too, because every command of ours goes through it
LOOK = """
. /etc/os-release; echo "system $ID $VERSION_CODENAME"
echo "client ${SSH_CONNECTION%% *}"
echo "init $(cat /proc/1/comm)"
/usr/bin/python3 -c "import apt" 2>/dev/null && echo "python yes"
sudo -n /bin/true 2>/dev/null && echo "sudo yes"
exit 0
"""


@dataclass(frozen=True)
class Contact:
    """What one host said; `answer` is empty where it could not be reached, and `error` says why."""

    answer: dict[str, str]
    error: str = ""


def read(result: Result) -> Contact:
    """Return the facts in a host's answer."""
    if not result.ok:
        return Contact({}, result.last_line())
    pairs = (line.split(" ", 1) for line in result.stdout.splitlines() if " " in line)
    return Contact({key: value.strip() for key, value in pairs})


def problems(platform: Platform, host: Host, contact: Contact) -> list[str]:
    """Return what keeps `host` from being configured; each line says what would mend it."""
    if contact.error:
        return [f"no way in as {host.ssh_user}@{host.address}: {contact.error}"]
    known, found = contact.answer, []
    system = f"debian {platform.environment.suite}"
    if known.get("system") != system:
        found.append(f"runs {known.get('system')}, needs {system}")
    if known.get("init") != "systemd":
        found.append(f"its init is {known.get('init')}, needs systemd")
    if "python" not in known:
        found.append("has no Python that knows apt: apt-get install python3 python3-apt")
    if "sudo" not in known:
        line = f"{host.ssh_user} ALL=(ALL:ALL) NOPASSWD: ALL"
        found.append(f"{host.ssh_user} cannot sudo without a password: apt-get install sudo; sudoers: {line}")
    if known.get("client") not in allowed_clients(platform):
        found.append(
            f"sees this machine as {known.get('client')}, which its firewall would shut out: "
            "add that address to network.operators"
        )
    return found


def allowed_clients(platform: Platform) -> set[str]:
    """Return the addresses that reach SSH after a converge: operators and control hosts."""
    control = {host.address for host in platform.with_role("control")}
    return {str(address) for address in platform.environment.network.operators} | control


def require(fleet: Fleet, runner: Runner) -> None:
    """Look at every enabled host; raise PerennialError (4) naming all that is wrong with any of them."""
    platform = fleet.platform
    hosts = [host for host in platform.hosts.values() if not host.disabled]
    results = run_many(runner, [host.name for host in hosts], ["sh", "-c", LOOK], safe=True, root=False)
    found, shut = [], False
    for host in hosts:
        contact = read(results[host.name])
        shut = shut or bool(contact.error)
        found += [f"{host.name}: {problem}" for problem in problems(platform, host, contact)]
    if not found:
        return
    commands = authorize(platform, fleet.secret("ssh-operator")["public_key"])["commands"] if shut else []
    text = "\n".join([f"no host was changed; {len(found)} in the way:", *found, *commands])
    next_ = f"make up ENV={platform.name}" + (", after the ssh lines above" if commands else "")
    raise PerennialError(text, where=platform.name, next_=next_, code=Exit.REFUSED)
