# SPDX-License-Identifier: Apache-2.0
"""The algebra of MariaDB's global transaction ids: what a server has, covers and lacks.

An id is `domain-server-sequence`. Within a domain and an origin sequences only grow, so that the newest one
of each origin says everything (MariaDB: `gtid_binlog_state` with `gtid_slave_pos`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Origin = tuple[int, int]  # domain, server id
Set = Mapping[Origin, int]


@dataclass(frozen=True, order=True)
class Span:
    """Transactions of one origin: those after sequence `after` up to `last`; the origin may have fewer."""

    domain: int
    server: int
    after: int
    last: int

    def __str__(self) -> str:
        """Return it as people write it: `1-7-42`, or `1-7-40 to 1-7-42`."""
        last = f"{self.domain}-{self.server}-{self.last}"
        first = f"{self.domain}-{self.server}-{self.after + 1}"
        return last if self.after + 1 == self.last else f"{first} to {last}"


def parse(*texts: str) -> dict[Origin, int]:
    """Return the newest sequence of each origin in GTID lists; raise ValueError for what is none."""
    newest: dict[Origin, int] = {}
    for text in texts:
        for gtid in filter(None, (part.strip() for part in text.split(","))):
            domain, server, sequence = (int(part) for part in gtid.split("-"))
            key = (domain, server)
            newest[key] = max(newest.get(key, 0), sequence)
    return newest


def missing(have: Set, need: Set) -> list[Span]:
    """Return what `need` has and `have` lacks, in order."""
    spans = [
        Span(*origin, have.get(origin, 0), last)
        for origin, last in need.items()
        if have.get(origin, 0) < last
    ]
    return sorted(spans)


def covers(have: Set, need: Set) -> bool:
    """Tell whether `have` lacks nothing of `need`."""
    return not missing(have, need)


def text(given: Set) -> str:
    """Return a set as `gtid_binlog_state` takes it: within a domain the newest one stands last."""
    ordered = sorted(given.items(), key=lambda item: (item[0][0], item[1]))
    return ",".join(f"{domain}-{server}-{last}" for (domain, server), last in ordered)


def union(one: Set, other: Set) -> dict[Origin, int]:
    """Return what either has."""
    return {key: max(one.get(key, 0), other.get(key, 0)) for key in {*one, *other}}
