# SPDX-License-Identifier: Apache-2.0
"""Writes down which metrics, labels and values a platform has: `python -m alerts.record --env lab`."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from alerts.selectors import METRICS
from infra.inventory import read_fleet
from infra.runbook.monitoring import LiveMonitoring

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LIST_MOST = 24  # values of one label; more are no list but names of things that come and go
LEFT_OUT = ("ALERTS", "go_", "process_", "promhttp_", "slo:")  # of no use in a rule, or made by rules
HOSTS = {"instance", "host"}  # other environments have other hosts


def digest(series: Iterable[Mapping[str, str]]) -> dict[str, dict[str, list[str] | None]]:
    """Return metric → label → sorted values, null where they are many or names of hosts."""
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for labels in series:
        for name, value in labels.items():
            if name != "__name__":
                seen[labels["__name__"]][name].add(value)
    return {
        metric: {
            label: None if label in HOSTS or len(values) > LIST_MOST else sorted(values)
            for label, values in sorted(by_label.items())
        }
        for metric, by_label in sorted(seen.items())
    }


def document(environment: str, found: Mapping[str, Mapping[str, list[str] | None]]) -> str:
    """Return the recorded file: one line a metric, so that a difference can be read."""
    head = {"environment": environment, "time": datetime.now(UTC).isoformat(timespec="seconds")}
    lines = [
        f"  {json.dumps(name)}: {json.dumps(labels, ensure_ascii=False)}" for name, labels in found.items()
    ]
    start = json.dumps(head, indent=1)[:-2]
    return f'{start},\n "metrics": {{\n' + ",\n".join(lines) + "\n }\n}\n"


def main() -> None:
    """Record what Prometheus of the environment scraped in the last quarter of an hour."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="lab")
    environment = parser.parse_args().env
    series: list[dict[str, Any]] = LiveMonitoring(read_fleet(environment)).series()
    found = digest(one for one in series if not one["__name__"].startswith(LEFT_OUT))
    METRICS.write_text(document(environment, found), "utf-8")
    print(f"{len(found)} metrics of {len(series)} series: {METRICS}")


if __name__ == "__main__":
    main()
