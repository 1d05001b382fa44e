# SPDX-License-Identifier: Apache-2.0
"""What the page cache agent knows and decides: cursors, repetitions, gaps. No sockets in here.

What it promises: every ban that the application wrote is applied to this edge's Varnish, in spite of lost
polls, restarts and a restored database; `healthy` says whether that is known to be so right now.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

# A fetch under way during a ban may store the old page: the ban is repeated until no such fetch can be left
# (Varnish waits 30 s for the first byte).
REPEAT_SECONDS = (2.0, 8.0, 35.0)
# An answer is proof for this long; then Varnish has to pass.
LEASE_SECONDS = 3.0
# Rows get their number before they become visible: a missing one may still turn up. Longer than any commit.
HOLE_SECONDS = 60.0
PAGE_ROWS = 500
KEYS_PER_BAN = 50
KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
EVERYTHING = "obj.status != 0"

log = logging.getLogger("cache-agent")


class AgentError(Exception):
    """A poll or a ban failed; the next round tries again."""


@dataclass(frozen=True)
class Ban:
    """One row of the application's list."""

    id: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """One answer: the table's epoch, its first and last row (0 when empty), and rows after the asked one."""

    epoch: str
    first: int
    last: int
    bans: tuple[Ban, ...]


class Source(Protocol):
    """Where bans come from."""

    def fetch(self, domain: str, after: int) -> Page:
        """Return at most PAGE_ROWS rows with a larger number than `after`; raise AgentError."""


class Cache(Protocol):
    """Where bans go."""

    def ban(self, expression: str) -> None:
        """Apply one ban expression; raise AgentError when it is not certain that it was."""


def page_from(document: Any) -> Page:
    """Return the checked content of an answer; raise AgentError when it has another shape."""
    try:
        bans = tuple(
            Ban(int(row["id"]), tuple(str(key) for key in row["keys"]))
            for row in sorted(document["bans"], key=lambda row: int(row["id"]))
        )
        epoch = document["epoch"]
        if not isinstance(epoch, str) or not epoch:
            raise AgentError("answer without epoch")
        return Page(epoch, int(document["first"] or 0), int(document["last"] or 0), bans)
    except (KeyError, TypeError, ValueError) as error:
        raise AgentError(f"answer of another shape: {error!r}") from error


def expressions(bans: list[Ban]) -> list[str]:
    """Return the ban expressions for these rows: one or a few by key, or one for everything.

    Everything goes when a row says `all` or holds anything but plain keys: too much is safe, too little not.
    """
    keys = sorted({key for ban in bans for key in ban.keys})
    if any(not ban.keys for ban in bans) or any(key == "all" or not KEY.fullmatch(key) for key in keys):
        return [EVERYTHING]
    groups = [keys[start : start + KEYS_PER_BAN] for start in range(0, len(keys), KEYS_PER_BAN)]
    # No blank inside: Varnish's manager hands the words to its child without their quotes.
    return [f"obj.http.X-Keys ~ (^|[[:space:]])({'|'.join(group)})([[:space:]]|$)" for group in groups]


@dataclass
class Repeat:
    """A ban that has been applied once and has to be applied again; `lowest` is 0 for everything."""

    expression: str
    lowest: int
    applied: float
    stage: int = 0

    @property
    def due(self) -> float:
        """Return when the next repetition is due, on the monotonic clock."""
        return self.applied + REPEAT_SECONDS[self.stage]


@dataclass
class Site:
    """What this edge knows of one site's list of bans."""

    id: str
    domain: str
    epoch: str = ""
    # All rows up to here are applied once, or will never come.
    contiguous: int = 0
    # Rows beyond a missing one: number → when applied.
    beyond: dict[int, float] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)
    caught_up_at: float | None = None

    def durable(self) -> dict[str, Any] | None:
        """Return what a restart may start from: rows whose repetitions are all done; None means nothing."""
        if not self.epoch or any(repeat.lowest == 0 for repeat in self.repeats):
            return None
        lowest = min((repeat.lowest for repeat in self.repeats), default=self.contiguous + 1)
        return {"epoch": self.epoch, "cursor": min(self.contiguous, lowest - 1)}


class Agent:
    """Polls and bans for all sites of this edge; times are seconds on a monotonic clock."""

    def __init__(self, sites: list[Site], source: Source, cache: Cache, state: Path) -> None:
        self.sites = sites
        self.source = source
        self.cache = cache
        self.state = state
        self.applied = {"keys": 0, "everything": 0, "repeat": 0}
        self.failures = 0
        self._written: str | None = None
        self._load()

    def round(self, now: float) -> bool:
        """Poll and ban once for each site; return whether all went well. `now` must be from before."""
        good = True
        for site in self.sites:
            try:
                self._repeat(site, now)
                self._poll(site, now)
                site.caught_up_at = now
            except AgentError as error:
                good = False
                self.failures += 1
                log.warning("site %s: %s", site.id, error)
        self._save()
        return good

    def healthy(self, now: float) -> bool:
        """Return whether this edge is known to have applied every ban up to LEASE_SECONDS ago."""
        return bool(self.sites) and self.lag(now) < LEASE_SECONDS

    def lag(self, now: float) -> float:
        """Return the seconds since all bans were last known to be applied (inf: never)."""
        times = [site.caught_up_at for site in self.sites]
        return max(
            (now - moment if moment is not None else float("inf") for moment in times), default=float("inf")
        )

    def _poll(self, site: Site, now: float) -> None:
        after = site.contiguous
        while True:
            page = self.source.fetch(site.domain, after)
            reason = self._lost(site, page)
            if reason:
                self._ban_everything(site, page, reason, now)
                return
            self._apply(site, page.bans, now)
            if len(page.bans) < PAGE_ROWS:
                break
            after = page.bans[-1].id
        self._advance(site, now)

    @staticmethod
    def _lost(site: Site, page: Page) -> str:
        if not site.epoch:
            return "cursor unknown"
        if page.epoch != site.epoch:
            return "another epoch"
        if page.last < site.contiguous:
            return f"the list ends at {page.last}, before cursor {site.contiguous}"
        if page.first > site.contiguous + 1:
            return f"rows between cursor {site.contiguous} and {page.first} are gone"
        return ""

    def _ban_everything(self, site: Site, page: Page, reason: str, now: float) -> None:
        # First forget: if the ban fails, the next round must come here again.
        site.epoch = ""
        self.cache.ban(EVERYTHING)
        self.applied["everything"] += 1
        log.warning("site %s: %s: banned everything, continue after %d", site.id, reason, page.last)
        site.epoch, site.contiguous, site.beyond = page.epoch, page.last, {}
        site.repeats = [Repeat(EVERYTHING, 0, now)]

    def _apply(self, site: Site, bans: tuple[Ban, ...], now: float) -> None:
        new = [ban for ban in bans if ban.id > site.contiguous and ban.id not in site.beyond]
        if not new:
            return
        wanted = expressions(new)
        for expression in wanted:
            self.cache.ban(expression)
        self.applied["keys"] += len(new)
        site.repeats += [Repeat(expression, new[0].id, now) for expression in wanted]
        site.beyond |= {ban.id: now for ban in new}
        log.info("site %s: bans %d to %d: %s", site.id, new[0].id, new[-1].id, "; ".join(wanted)[:400])

    @staticmethod
    def _advance(site: Site, now: float) -> None:
        for number in sorted(site.beyond):
            missing = number > site.contiguous + 1
            if missing and now - site.beyond[number] < HOLE_SECONDS:
                return
            site.contiguous = number
            del site.beyond[number]

    def _repeat(self, site: Site, now: float) -> None:
        for repeat in [repeat for repeat in site.repeats if repeat.due <= now]:
            self.cache.ban(repeat.expression)
            self.applied["repeat"] += 1
            repeat.stage += 1
            if repeat.stage == len(REPEAT_SECONDS):
                site.repeats.remove(repeat)

    def _load(self) -> None:
        try:
            saved = json.loads(self.state.read_text())
            for site in self.sites:
                if site.id in saved:
                    site.epoch, site.contiguous = str(saved[site.id]["epoch"]), int(saved[site.id]["cursor"])
        except FileNotFoundError:
            log.info("no cursor yet")
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is unusable, starting from nothing: %r", self.state, error)
            for site in self.sites:
                site.epoch, site.contiguous = "", 0

    def _save(self) -> None:
        durable = {site.id: entry for site in self.sites if (entry := site.durable()) is not None}
        text = json.dumps(durable, sort_keys=True)
        if text == self._written:
            return
        # Losing this file costs one ban of everything, never a ban: no need to sync.
        part = self.state.with_suffix(".part")
        try:
            part.write_text(text)
            part.replace(self.state)
            self._written = text
        except OSError as error:
            # The older file stays: a restart begins at an older row, which repeats bans and loses none.
            log.warning("cannot keep the cursor: %s", error)

    def metrics(self, now: float) -> str:
        """Return the metrics in Prometheus' text format."""
        lag = self.lag(now)
        lines = [
            "# TYPE perennial_cache_agent_healthy gauge",
            f"perennial_cache_agent_healthy {int(self.healthy(now))}",
            "# TYPE perennial_cache_ban_lag_seconds gauge",
            f"perennial_cache_ban_lag_seconds {'+Inf' if lag == float('inf') else f'{lag:.3f}'}",
            "# TYPE perennial_cache_bans_applied_total counter",
            *(f'perennial_cache_bans_applied_total{{kind="{kind}"}} {n}' for kind, n in self.applied.items()),
            "# TYPE perennial_cache_agent_failures_total counter",
            f"perennial_cache_agent_failures_total {self.failures}",
            "# TYPE perennial_cache_ban_cursor gauge",
            *(f'perennial_cache_ban_cursor{{site="{site.id}"}} {site.contiguous}' for site in self.sites),
        ]
        return "\n".join(lines) + "\n"
