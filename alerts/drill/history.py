# SPDX-License-Identifier: Apache-2.0
"""The record at the end of each page, from tests/evidence/drills.json: `python -m alerts.drill.history`.

It says when a page was last rehearsed and how fast it was. What has changed since begins anew.
"""

from __future__ import annotations

from typing import Any

from alerts.drill import case as cases
from alerts.drill import result as results
from infra.runbook.lint import PAGES

HEAD = "| fault | passed | alert after | mended after | last drill |\n|---|---|---|---|---|\n"


def section(case: cases.Case, recorded: dict[str, Any]) -> str:
    """Return the record of one page, heading included, from `alert/fault` → record."""
    if case.unshown:
        return f"{results.RECORD_HEADING}\nNo drill: {case.unshown}.\n"
    rows = [_row(case, fault, recorded.get(f"{case.alert}/{fault.name}")) for fault in case.faults]
    return f"{results.RECORD_HEADING}\n{HEAD}{''.join(rows)}"


def _row(case: cases.Case, fault: cases.Fault, found: dict[str, Any] | None) -> str:
    if found is None or found["key"] != results.key(case, fault):
        return f"| {fault.name} | not drilled as it is now | | | |\n"
    last = found["result"]
    times = ["never" if last[name] is None else f"{last[name]:.0f} s" for name in ("detect", "repair")]
    cells = [fault.name, f"{found['k']} of {found['n']}", *times, found["time"][:10]]
    return f"| {' | '.join(cells)} |\n"


def wanted() -> dict[str, str]:
    """Return alert → its page's text with the record as it must be now; missing pages are left out."""
    recorded, texts = results.read(), {}
    for case in cases.every():
        path = PAGES / f"{case.alert}.md"
        if path.exists():
            texts[case.alert] = results.own_text(path.read_text("utf-8")) + section(case, recorded)
    return texts


def refresh() -> list[str]:
    """Write every page whose record is another now; return the alerts of those."""
    changed = []
    for alert, text in wanted().items():
        path = PAGES / f"{alert}.md"
        if path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            changed.append(alert)
    return changed


if __name__ == "__main__":
    print(f"{len(refresh())} pages have another record now")
