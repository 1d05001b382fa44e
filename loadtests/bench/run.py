# SPDX-License-Identifier: Apache-2.0
"""What the rows of one run share: platform, counts, the page and the reference host, each made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from loadtests.bench.load import Endpoint
from loadtests.bench.pages import Editor, Post, context
from loadtests.bench.reference_host import ReferenceHost, reference_host

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from contextlib import ExitStack

    from infra.inventory import Fleet


@dataclass(frozen=True)
class Counts:
    """How much: `rounds` pairs of loads of `seconds` s, `samples` takedowns, `quiet` s of rest."""

    rounds: int = 5
    seconds: int = 4
    samples: int = 50
    quiet: int = 60
    switchovers: int = 20
    failovers: int = 5


TRIAL = Counts(rounds=1, seconds=1, samples=2, quiet=3, switchovers=2, failovers=1)


@dataclass
class Run:
    """One run on a fleet; whatever it makes is undone by `stack`, also after a failure or an interrupt."""

    fleet: Fleet
    counts: Counts
    stack: ExitStack = field(repr=False)
    say: Callable[[str], None]

    @property
    def lab(self) -> str:
        """Return the environment's name."""
        return self.fleet.platform.name

    @cached_property
    def editor(self) -> Editor:
        """Return who writes posts."""
        return Editor(self.fleet)

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """Return the TLS context that trusts the platform's authority alone."""
        return context(self.fleet.secret("authority")["certificate"])

    @property
    def edges(self) -> dict[str, str]:
        """Return name and address of each enabled edge."""
        hosts = self.fleet.platform.with_role("edge", enabled_only=True)
        return {host.name: str(host.address) for host in hosts}

    def at_vip(self, path: str) -> Endpoint:
        """Return a path of the site behind the virtual address."""
        return Endpoint(str(self.fleet.platform.environment.vip.address), self.editor.domain, path)

    def at_edge(self, path: str, edge: str = "") -> Endpoint:
        """Return a path of the site at one edge's own address, the first edge's where none is named."""
        return Endpoint(self.edges[edge or next(iter(self.edges))], self.editor.domain, path)

    @cached_property
    def _page(self) -> tuple[Post, str]:
        self.say("publishing the page that is measured")
        return self.stack.enter_context(self.editor.page(self.at_vip("/"), self.trust))

    @property
    def post(self) -> Post:
        """Return the post of about 72 kB that both page rows load."""
        return self._page[0]

    @property
    def content(self) -> str:
        """Return that post's content."""
        return self._page[1]

    @cached_property
    def reference(self) -> ReferenceHost:
        """Return the reference host, booted for this run."""
        self.say("booting the reference host (its image takes a minute)")
        return self.stack.enter_context(reference_host(self.fleet))
