# SPDX-License-Identifier: Apache-2.0
"""What a role gets to know: one dictionary `perennial` for each host, derived from the description alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from infra.release import release
from infra.spec import alerting, derive
from infra.spec.sizing import sizing
from infra.spec.types import plain

if TYPE_CHECKING:
    from infra.spec import Host, Platform


# given under keys of their own, or of no use to a role
OWN_KEYS = ("plugin", "environment", "sites", "hosts", "volumes")


def common_variables(platform: Platform) -> dict[str, Any]:
    """Return what is the same on every host."""
    environment = platform.environment
    return {
        "environment": {
            "name": platform.name,
            **{key: value for key, value in plain(environment).items() if key not in OWN_KEYS},
            "listener": f"db.{environment.internal_domain}",
        },
        "release": release().name,
        "hosts": {name: _card(host) for name, host in platform.hosts.items()},
        "sites": [_site(platform, name) for name in platform.sites],
        "services": {name: plain(service) for name, service in platform.services.items()},
        "pools": {role: [_card(host) for host in platform.with_role(role)] for role in platform.roles},
        "teams": {name: plain(team) for name, team in platform.teams.items()},
        "people": {name: plain(person) for name, person in platform.people.items()},
    }


def _card(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "address": host.address,
        "fqdn": host.fqdn,
        "roles": list(host.roles),
        "disabled": host.disabled,
        "ssh_user": host.ssh_user,
    }


def _site(platform: Platform, name: str) -> dict[str, Any]:
    site = platform.sites[name]
    return {"id": name, "domain": site.domain, "aliases": list(site.aliases), **plain(site.definition)}


def host_variables(platform: Platform, host: Host) -> dict[str, Any]:
    """Return the dictionary `perennial` of one host."""
    variables = common_variables(platform)
    variables |= {
        "host": _card(host),
        "sizing": sizing(platform, host),
        "packages": {role: list(platform.packages((role,))) for role in host.roles},
        "volumes": [asdict(volume) for volume in host.volumes],
        "firewall": {
            "inbound": [asdict(rule) for rule in derive.inbound(platform, host)],
            "outbound": [asdict(rule) for rule in derive.outbound(platform, host)],
        },
        "tasks": [_task(task) for task in derive.tasks_on(platform, host)],
        "secrets": [
            name for name, secret in platform.secrets.items() if set(secret.readers) & set(host.roles)
        ],
    }
    if "monitoring" in host.roles:
        variables["scrape"] = [asdict(target) for target in derive.scrape_targets(platform)]
        variables["alert_routes"] = alerting.routes(platform)
        variables["alert_secrets"] = alerting.alertmanager_secrets(platform)
    if "deadman" in host.roles:
        variables["switch_recipients"] = alerting.switch_recipients(platform.environment, platform.teams)
    return variables


def _task(task: derive.ScheduledTask) -> dict[str, Any]:
    definition = plain(task.definition)
    return definition | {"id": task.id, "unit": task.unit, "site": task.site, "command": list(task.command)}


def connection_variables(
    user: str, address: str, port: int, key_file: str, known_hosts: str
) -> dict[str, Any]:
    """Return Ansible's connection variables: pinned host keys, one key, no prompts."""
    options = f"-o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    return {
        "ansible_host": address,
        "ansible_port": port,
        "ansible_user": user,
        "ansible_ssh_private_key_file": key_file,
        "ansible_ssh_common_args": options,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
