# SPDX-License-Identifier: Apache-2.0
"""What a dry run of a page leaves out, and the sentence that it ends with.

A look that comes after a change which was left out sees the platform as it is before that change: what it
misses is not missing for good, and what depends on it is not decided yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.runbook.page import Block

LEFT_OUT = "dry run"
AFTER_THAT = "by then"


@dataclass(frozen=True)
class Act:
    """A change that a run would make, and what else must be so by then; empty where nothing must."""

    name: str
    hosts: tuple[str, ...]
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as a person reads it."""
        where = f"{self.name} on {', '.join(self.hosts)}"
        return f"{where} (if {' and '.join(self.given)} {AFTER_THAT})" if self.given else where


@dataclass
class Rehearsal:
    """The changes that a dry run left out so far, and the looks that could not hold without them.

    `partly`: looks that hold on some of their hosts, where a change that was left out came before.
    """

    acts: dict[str, Act] = field(default_factory=dict)
    unmet: list[str] = field(default_factory=list)
    partly: list[str] = field(default_factory=list)

    def may_come(self, name: str) -> bool:
        """Tell whether a run could bring about what this dry run does not see of a block."""
        return name in self.acts or name in self.unmet

    def leave_out(self, block: Block, hosts: tuple[str, ...]) -> str:
        """Remember a change that is left out; return why."""
        about = block.attributes
        needed = [word for name in about.requires for word in self._needed(name)]
        spared = [f"{name} does not hold" for name in about.unless if name in self.unmet + self.partly]
        act = Act(about.name, hosts, tuple(dict.fromkeys([*needed, *spared])))
        self.acts[about.name] = act
        return f"{LEFT_OUT}: if {' and '.join(act.given)} {AFTER_THAT}" if act.given else LEFT_OUT

    def holds_partly(self, name: str) -> None:
        """Remember a look that holds on some hosts: a change may make it hold on the others."""
        if self.acts:
            self.partly.append(name)

    def _needed(self, name: str) -> tuple[str, ...]:
        if name in self.acts:
            return self.acts[name].given
        return (f"{name} holds",) if name in self.unmet else ()

    def not_yet(self, block: Block) -> str:
        """Return why a look that does not hold may hold in a run, empty where a run would see no other."""
        if self.acts:
            why = f"a run would act first: {', '.join(self.acts)}"
        elif block.attributes.wait:
            why = f"a run would look again, for {block.attributes.wait} at most"
        else:
            return ""
        self.unmet.append(block.attributes.name)
        return why

    def sentence(self) -> str:
        """Return what a run would do, as the last word of a dry run."""
        if self.acts:
            would = f"a run would do: {'; '.join(str(act) for act in self.acts.values())}"
        else:
            would = "a run would change nothing either"
        waits = f"; it would wait for: {', '.join(self.unmet)}" if self.unmet else ""
        return f"nothing was changed; {would}{waits}"
