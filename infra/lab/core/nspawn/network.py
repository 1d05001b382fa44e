# SPDX-License-Identifier: Apache-2.0
"""Lab networks: a bridge with an address, closed on all sides but the package cache."""

from __future__ import annotations

import ipaddress
import json
import shutil
from collections.abc import Iterable

from infra.lab.core.errors import LabError
from infra.lab.core.model import NetworkSpec, NetworkState
from infra.lab.core.nspawn.cache import PackageCache
from infra.lab.core.nspawn.files import locked, remove_if_empty
from infra.lab.core.nspawn.firewall import apply_rules, drop_table, has_table, table_name
from infra.lab.core.nspawn.machine import Machine
from infra.lab.core.nspawn.paths import Paths, bridge
from infra.lab.core.nspawn.sweep import sweep_lab
from infra.lab.core.process import Budget, run

_RULES = """
chain forward {{
  type filter hook forward priority -10; policy accept;
  iifname "{bridge}" oifname "{bridge}" accept comment "host to host, where br_netfilter shows it"
  iifname "{bridge}" drop
  oifname "{bridge}" drop
}}
chain input {{
  type filter hook input priority -10; policy accept;
  iifname != "{bridge}" return
  ip saddr != {subnet} drop
  ct state established,related accept
  icmp type echo-request accept
  ip daddr {gateway} tcp dport {port} accept
  meta l4proto {{ tcp, udp }} counter drop
  drop
}}
"""


class Networks:
    """Networks on this machine."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._cache = PackageCache(paths)
        self._machine = Machine(paths)

    def foresee(self, spec: NetworkSpec) -> NetworkState:
        """All of a network's state follows from its specification."""
        return NetworkState(
            **dict(spec), bridge=bridge(spec.lab), cache_url=f"http://{spec.gateway}:{spec.cache_port}"
        )

    def create(self, spec: NetworkSpec, budget: Budget) -> NetworkState:
        """Make the bridge, the rules and the cache; what is there already is kept."""
        # One lock for all labs: two that begin at once must not find the same subnet free.
        with locked(self._paths.runtime / "network.lock", budget):
            _refuse_overlap(spec, budget)
            self._paths.lab(spec.lab).mkdir(parents=True, exist_ok=True)
            link = bridge(spec.lab)
            apply_rules(
                table_name(spec.lab),
                _RULES.format(bridge=link, subnet=spec.subnet, gateway=spec.gateway, port=spec.cache_port),
                budget,
            )
            if not _links(link, budget):
                run(["ip", "link", "add", link, "type", "bridge"], budget)
            prefix = ipaddress.IPv4Network(spec.subnet).prefixlen
            run(["ip", "address", "replace", f"{spec.gateway}/{prefix}", "dev", link], budget)
            run(["ip", "link", "set", link, "up"], budget)
        self._machine.prepare(budget)
        self._cache.start(spec.lab, spec.cache_port, budget)
        return self.foresee(spec)

    def read(self, old: NetworkState, budget: Budget) -> NetworkState | None:
        """The network when bridge, address, rules and cache are all in place."""
        links = _links(old.bridge, budget)
        whole = (
            bool(links)
            and "UP" in _flags(links)
            and old.gateway in _addresses(links)
            and has_table(table_name(old.lab), budget)
            and self._cache.running(old.cache_port)
            and self._machine.ready()
        )
        return old if whole else None

    def update(self, old: NetworkState, spec: NetworkSpec, budget: Budget) -> NetworkState:
        """Networks have nothing that changes in place; the specification is put into force again."""
        budget.check(f"changing network {old.lab}")
        return self.create(spec, budget)

    def delete(self, old: NetworkState, budget: Budget) -> None:
        """Remove the network, and all that interrupted runs left in this lab."""
        self.remove_lab(old.lab, budget)

    def remove_lab(self, lab: str, budget: Budget) -> None:
        """Remove everything of a lab by its name alone, whoever made it."""
        sweep_lab(self._paths, lab, budget)
        with locked(self._paths.runtime / "network.lock", budget):
            if _links(bridge(lab), budget):
                run(["ip", "link", "delete", bridge(lab)], budget)
            drop_table(table_name(lab), budget)
            shutil.rmtree(self._paths.lab(lab), ignore_errors=True)
        self._cache.release(lab, budget)
        self._machine.restore(budget)
        remove_if_empty(self._paths.labs, self._paths.root, self._paths.runtime)


def _links(name: str, budget: Budget) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run(["ip", "-json", "-4", "address", "show"], budget) or "[]")
    return [link for link in found if link.get("ifname") == name]


def _flags(links: Iterable[dict[str, object]]) -> set[object]:
    # Not the operational state: a bridge that no host is on yet has no carrier.
    return {flag for link in links if isinstance(flags := link.get("flags"), list) for flag in flags}


def _addresses(links: Iterable[dict[str, object]]) -> set[str]:
    infos = [info for link in links if isinstance(found := link.get("addr_info"), list) for info in found]
    return {str(info["local"]) for info in infos if "local" in info}


def _refuse_overlap(spec: NetworkSpec, budget: Budget) -> None:
    wanted = ipaddress.IPv4Network(spec.subnet)
    taken = dict(_occupied(bridge(spec.lab), budget))
    for network, link in taken.items():
        if wanted.overlaps(network):
            free = next(
                (other for other in _candidates(wanted) if not any(other.overlaps(n) for n in taken)), None
            )
            hint = f"; the nearest free one of this size is {free}" if free else ""
            raise LabError(
                f"network of lab {spec.lab}: subnet {wanted} is taken by {network} on {link} of this "
                f"machine{hint} (set network.subnet and the addresses in the environment's file)"
            )


def _candidates(wanted: ipaddress.IPv4Network) -> Iterable[ipaddress.IPv4Network]:
    size = wanted.num_addresses
    for step in range(1, 4096):
        for start in (int(wanted.network_address) + step * size, int(wanted.network_address) - step * size):
            if 0 < start < 2**32 and (other := ipaddress.IPv4Network((start, wanted.prefixlen))).is_private:
                yield other


def _occupied(own: str, budget: Budget) -> Iterable[tuple[ipaddress.IPv4Network, str]]:
    for route in json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"], budget) or "[]"):
        link = str(route.get("dev", ""))
        usable = route.get("type", "unicast") in ("unicast", "local") and route.get("dst") != "default"
        if usable and link not in (own, "lo", ""):
            yield ipaddress.IPv4Network(route["dst"], strict=False), link
