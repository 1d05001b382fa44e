# SPDX-License-Identifier: Apache-2.0
"""What a drill found, and its record in tests/evidence/drills.json, keyed by a hash of what it exercised."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.release import commit
from infra.runbook.lint import PAGES
from infra.runbook.rules import alerts
from infra.spec import CHECKOUT

if TYPE_CHECKING:
    from alerts.drill.case import Case, Fault

RECORD = CHECKOUT / "tests" / "evidence" / "drills.json"
SCHEMA = "drills/1"
RECORD_HEADING = "\n## Record\n"  # below it a page is generated (alerts/drill/history.py)


@dataclass
class Result:
    """One fault: when its alert fired, what its page did, when it was over (all in seconds from the fault).

    `pages` and `tickets` are how many alerts people were told of: what another explains is not counted.
    `valid` is false where monitoring itself did not hold, so that nothing was shown either way.
    """

    alert: str
    fault: str
    control: str = ""
    valid: bool = True
    detected: bool = False
    mended: bool = False
    floor: float = 0.0
    detect: float | None = None
    repair: float | None = None
    reset: float | None = None
    beside: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    pages: int | None = None
    tickets: int | None = None
    why: str = ""

    @property
    def passed(self) -> bool:
        """Tell whether the alert saw the fault, its page mended it, and nothing else fired than may.

        A control passes where the drill went red for the control's own reason (alerts/drill/control.py).
        """
        if self.control == "blind":
            return not self.valid
        if self.control in {"quiet", "mutated"}:
            return self.valid and not self.detected
        if self.control:
            return self.valid and self.detected and not self.mended
        return self.valid and self.detected and self.mended and not self.unexpected

    def line(self) -> str:
        """Return it as one line for people."""
        verdict = "passed" if self.passed else "FAILED" if self.valid else "invalid"
        if self.control:
            verdict = "went red as it must" if self.passed else "CONTROL STAYED GREEN"
        control = f" (control {self.control})" if self.control else ""
        text = (
            f"{verdict} {self.alert}/{self.fault}{control}; detected {_seconds(self.detect)} "
            f"(floor {self.floor:.0f} s); repaired {_seconds(self.repair)}; alert gone {_seconds(self.reset)}"
        )
        for word, names in (("beside", self.beside), ("unexpected", self.unexpected)):
            if names:
                text += f"; {word}: {', '.join(names)}"
        return text + (f"; {self.why}" if self.why else "")


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f} s"


def own_text(page: str) -> str:
    """Return what people wrote of a page: all but its record."""
    return page.partition(RECORD_HEADING)[0]


def key(case: Case, fault: Fault) -> str:
    """Return a hash over rule, page and fault: with another one, what was shown before counts no more."""
    page = own_text((PAGES / f"{case.alert}.md").read_text("utf-8"))
    broken = fault.model_dump_json(exclude={"touches", "lingers"})  # how it is drilled is no part of it
    text = f"{alerts()[case.alert].hash}\0{page}\0{broken}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(path: Path = RECORD) -> dict[str, Any]:
    """Return `alert/fault` → its record; empty before the first drill."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))["faults"]
    return found


def passed(case: Case, fault: Fault, path: Path = RECORD) -> bool:
    """Tell whether this rule, page and fault have passed their last drill."""
    found = read(path).get(f"{case.alert}/{fault.name}")
    return bool(found and found["key"] == key(case, fault) and found["last_passed"])


def write(case: Case, fault: Fault, result: Result, environment: str, path: Path = RECORD) -> None:
    """Count one valid drill; n and k begin anew when rule, page or fault have changed."""
    if not result.valid:
        return
    everything = read(path)
    name, now = f"{case.alert}/{fault.name}", key(case, fault)
    before = everything.get(name, {})
    before = before if before.get("key") == now else {}
    everything[name] = {
        "key": now,
        "n": before.get("n", 0) + 1,
        "k": before.get("k", 0) + result.passed,
        "last_passed": result.passed,
        "environment": environment,
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "result": asdict(result),
    }
    document = {"schema": SCHEMA, "faults": dict(sorted(everything.items()))}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
