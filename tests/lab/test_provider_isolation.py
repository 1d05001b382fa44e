# SPDX-License-Identifier: Apache-2.0
"""What keeps labs apart from this machine and from each other: limits and ways out."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.lab.core.model import HostSpec, HostState, NetworkSpec
from infra.lab.core.nspawn.guest import inside
from infra.lab.core.process import run
from tests.lab.provider_world import World, addresses_of_this_machine, connects, in_guest, leader_of
from tests.unit.test_lab_contract import budget

if TYPE_CHECKING:
    from infra.lab.core.nspawn.backend import NspawnBackend

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900)]


class TestIsolation(World):
    """A guest gets what its description gives it, and nothing else."""

    def test_limits_are_in_force(self, backend: NspawnBackend, spec: HostSpec, running: HostState) -> None:
        """Memory beyond the limit is refused by the kernel, in this host alone."""
        result = run(
            [*inside(leader_of(spec), "sh", "-c", "python3 -c 'b = bytearray(400 << 20)'; echo exit $?")],
            budget(),
        )
        assert "exit 0" in result  # nsenter starts in the caller's cgroup, so this one is not limited
        limited = in_guest(
            spec, "systemd-run --quiet --wait --pipe python3 -c 'b = bytearray(400 << 20)' || echo no"
        )
        assert limited == "no\n"

    def test_a_guest_reaches_the_cache_and_nothing_else_of_the_machine(
        self, spec: HostSpec, running: HostState
    ) -> None:
        """No other way out (design, section 3): not to other services here, nor through to other networks."""
        with socket.socket() as service:
            service.bind(("0.0.0.0", 0))  # noqa: S104 - on every address, as many services are
            service.listen()
            port = service.getsockname()[1]
            with socket.create_connection((spec.gateway, port), timeout=2):
                pass  # the service is there, so that what follows shows the firewall and not its absence
            in_guest(spec, f"ip route replace default via {spec.gateway}")
            assert connects(spec, spec.gateway, 3143)
            assert not connects(spec, spec.gateway, port)
            others = [address for address in addresses_of_this_machine() if address != spec.gateway]
            assert others
            assert not [address for address in others if connects(spec, address, port)]
            assert not [address for address in others if connects(spec, address, 3143)]

    def test_labs_do_not_reach_each_other(
        self, backend: NspawnBackend, spec: HostSpec, running: HostState
    ) -> None:
        """Also when a guest sets a route of its own and the machine forwards."""
        other = NetworkSpec(lab="tprov2", subnet="10.85.9.0/24", gateway="10.85.9.1")
        away = spec.model_copy(
            update={
                "lab": "tprov2",
                "address": "10.85.9.11",
                "subnet": other.subnet,
                "gateway": other.gateway,
                "mounts": (),
            }
        )
        forward = Path("/proc/sys/net/ipv4/ip_forward")
        before = forward.read_text("ascii")
        backend.networks.create(other, budget())
        try:
            backend.hosts.create(away, budget())
            forward.write_text("1", "ascii")
            for here, there in ((spec, away), (away, spec)):
                in_guest(here, f"ip route replace default via {here.gateway}")
                assert not connects(here, there.address, 22)
        finally:
            forward.write_text(before, "ascii")
            backend.networks.delete(backend.networks.foresee(other), budget())
