# SPDX-License-Identifier: Apache-2.0
"""A run of the journey as metrics, in the form that the runner of scheduled tasks takes over."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from infra.journey.steps import STEPS

if TYPE_CHECKING:
    from infra.journey.journey import Report


class Sample(TypedDict):
    """One sample of a gauge."""

    name: str
    help: str
    labels: dict[str, str]
    value: float


def samples(report: Report, site: str, finished: float) -> list[Sample]:
    """Return the metrics of a run on `site` that ended at `finished` (seconds since 1970).

    `failed` and `passed` have a sample for every step from the first run on, also for steps that were not
    reached (0 in both): an alert never waits for a series that does not exist yet.
    """
    done = {one.step: one for one in report.steps}
    failed = report.failed.step if report.failed else ""
    of_site = {"site": site}
    found = [
        _sample("success", "1 when the last run passed every step.", of_site, not failed),
        _sample("last_run_timestamp_seconds", "End of the last run.", of_site, finished),
    ]
    passed = {step.name: step.name in done and not done[step.name].reason for step in STEPS}
    for name, text, values in (
        ("step_passed", "1 when the last run passed the step.", passed),
        ("step_failed", "1 when the last run ended at the step.", {name: name == failed for name in passed}),
        ("step_seconds", "How long the step took.", {name: one.seconds for name, one in done.items()}),
    ):
        found += [_sample(name, text, of_site | {"step": step}, value) for step, value in values.items()]
    return found


def _sample(name: str, text: str, labels: dict[str, str], value: float) -> Sample:
    return {"name": f"perennial_journey_{name}", "help": text, "labels": labels, "value": float(value)}
