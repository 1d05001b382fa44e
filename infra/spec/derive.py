# SPDX-License-Identifier: Apache-2.0
"""What follows from the description: firewall rules, pools, scrape targets, tasks of a host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.spec.model import Host, Platform
    from infra.spec.platform_files import Task

ANY = "any"
# what a host with package access of its own opens to anybody: names, Debian's archives, the time
DIRECT = (
    ("http", "tcp", 80),
    ("https", "tcp", 443),
    ("dns", "udp", 53),
    ("dns", "tcp", 53),
    ("ntp", "udp", 123),
)


@dataclass(frozen=True)
class Rule:
    """One allowed direction of traffic; `peers` are addresses or ('any',); port 0 means all of it."""

    service: str
    protocol: str
    port: int
    peers: tuple[str, ...]


@dataclass(frozen=True)
class ScheduledTask:
    """A task as one host runs it; `unit` has no suffix, `site` is '' where none is meant."""

    id: str
    unit: str
    site: str
    command: tuple[str, ...]
    definition: Task


@dataclass(frozen=True)
class ScrapeTarget:
    """Something that Prometheus reads over TLS."""

    job: str
    host: str
    address: str
    fqdn: str
    port: int
    path: str


def _peers(platform: Platform, peer: str, *, as_target: bool) -> tuple[str, ...]:
    """Return the addresses of a peer; a target with the role edge is reached at the virtual address too."""
    network = platform.environment.network
    if peer == "anywhere":
        return (ANY,)
    if peer == "operator":
        return tuple(str(address) for address in network.operators)
    if peer == "package-cache":
        return (str(network.package_cache.address),) if network.package_cache else (ANY,)
    if peer == "mail-relay":
        relay = platform.environment.smtp_relay
        return (str(relay.address),) if relay else ()
    role = "base" if peer == "every-host" else peer
    addresses = [host.address for host in platform.with_role(role)]
    if as_target and peer == "edge":
        addresses.append(str(platform.environment.vip.address))
    return tuple(addresses)


def _rules(platform: Platform, host: Host, *, inbound: bool) -> tuple[Rule, ...]:
    rules = []
    for flow in platform.flows:
        here, there = (flow.to, flow.from_) if inbound else (flow.from_, flow.to)
        role = "base" if here == "every-host" else here
        if role not in host.roles:
            continue
        peers = _peers(platform, there, as_target=not inbound)
        peers = tuple(peer for peer in peers if peer != host.address)
        if not peers:
            continue
        if flow.protocol:
            rules.append(Rule(flow.protocol, flow.protocol, 0, peers))
        elif flow.to == "package-cache":
            cache = platform.environment.network.package_cache
            open_ = (("package-cache", "tcp", cache.port),) if cache else DIRECT
            rules += [Rule(service, protocol, port, peers) for service, protocol, port in open_]
        elif flow.to == "mail-relay" and platform.environment.smtp_relay:
            rules.append(Rule("mail-relay", "tcp", platform.environment.smtp_relay.port, peers))
        elif flow.service:
            rules.append(Rule(flow.service, "tcp", platform.services[flow.service].port, peers))
    return tuple(rules)


def inbound(platform: Platform, host: Host) -> tuple[Rule, ...]:
    """Return what `host` accepts."""
    return _rules(platform, host, inbound=True)


def outbound(platform: Platform, host: Host) -> tuple[Rule, ...]:
    """Return what `host` may open."""
    return _rules(platform, host, inbound=False)


def scrape_targets(platform: Platform) -> tuple[ScrapeTarget, ...]:
    """Return one target for each live scraped service on each enabled host."""
    return tuple(
        ScrapeTarget(name, host.name, host.address, host.fqdn, service.port, service.metrics_path)
        for name, service in platform.services.items()
        if service.probe == "scrape" and service.state == "live" and service.metrics_path
        for host in platform.with_role(service.role, enabled_only=True)
    )


def tasks_on(platform: Platform, host: Host) -> tuple[ScheduledTask, ...]:
    """Return the tasks of `host`, one for each site where it is per site; disabled hosts run none."""
    made = []
    for name, task in platform.tasks.items():
        role = task.hosts.role or task.hosts.one_of or ""
        carriers = platform.with_role(role, enabled_only=True)
        chosen = carriers[:1] if task.hosts.one_of else carriers
        if host not in chosen:
            continue
        for site in tuple(platform.sites) if task.per_site else ("",):
            unit = f"perennial-{name}" + (f"-{site}" if site else "")
            command = tuple(word.replace("{site}", site) for word in task.command)
            made.append(ScheduledTask(name, unit, site, command, task))
    return tuple(made)
