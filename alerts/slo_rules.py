# SPDX-License-Identifier: Apache-2.0
"""Rules of the objectives, made from `inventories/platform/slos.yml` by `python -m alerts.slo_rules`.

Several windows and burn rates after the Site Reliability Workbook, chapter 5 (sre.google/workbook/
alerting-on-slos): a burn of the budget is told when a long and a short window both show it, so that it is
significant and goes on. A burn rate is the share of the budget that the alert tolerates, times the window of
the objective, over the long window.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from infra.runbook.rules import RULES
from infra.spec import load

if TYPE_CHECKING:
    from infra.spec.platform_files import Slo

TARGET = RULES / "slo" / "slo.rules.yml"
HEADER = """# SPDX-License-Identifier: Apache-2.0
# generated from inventories/platform/slos.yml by: python -m alerts.slo_rules
"""
EVENTS_MIN = 100  # in five minutes: below, single errors are a large share of nothing
RUNS_MIN = 144  # in a day: half of them; on a platform of an hour's age one run is a large share of its day
LOW_ERRORS_MIN = 20  # in six hours
LOW_RATIO = 0.2
HOURS = {"1h": 1, "6h": 6, "1d": 24, "3d": 72}
RESPONSES = 'haproxy_frontend_http_responses_total{proxy="public"'
JOURNEY = "perennial_journey_success"
PROBES = 'job=~"probe-site|probe-edge"'


@dataclass(frozen=True)
class Burn:
    """One alert: pairs of a long and a short window, with the share of the budget that may go in the long."""

    alert: str
    pairs: tuple[tuple[str, str, float], ...]
    wait: str
    severity: str


BURNS = (
    Burn("ErrorBudgetBurnFast", (("1h", "5m", 0.02),), "2m", "page"),
    Burn("ErrorBudgetBurnSlow", (("6h", "30m", 0.05),), "15m", "page"),
    Burn("ErrorBudgetBurnTicket", (("1d", "2h", 0.10), ("3d", "6h", 0.10)), "1h", "ticket"),
)


@dataclass(frozen=True)
class Indicator:
    """What an objective counts, as sentences call it; how much makes a share meaningful; windows; alerts."""

    counted: str
    enough: str = ""
    windows: tuple[str, ...] = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
    burns: tuple[Burn, ...] = BURNS


# A run of the journey each five minutes is no crowd: one that fails is a tenth of an hour, and JourneyFailing
# pages for it. What its objective adds is the sum of many short failures, over a day.
DAY = Burn("ErrorBudgetBurnTicket", (("1d", "2h", 0.10),), "1h", "ticket")
INDICATORS = {
    "availability": Indicator("answers", f"slo:events:increase5m{{selector}} >= {EVENTS_MIN}"),
    "latency": Indicator("answers"),
    "journey": Indicator(
        "journeys", f"slo:runs:count1d{{selector}} >= {RUNS_MIN}", ("5m", "2h", "1d"), (DAY,)
    ),
}
VALUE = "{{ $value | humanizePercentage }}"
ZH = {
    "ErrorBudgetBurnFast": "正在快速消耗错误预算",
    "ErrorBudgetBurnSlow": "正在持续消耗错误预算",
}


@dataclass(frozen=True)
class Texts:
    """What an alert says: that it is so, why it matters, and for pages the first in Chinese."""

    says: str
    why: str
    zh: str = ""


def document() -> str:
    """Return the rule file as text."""
    slos = load("lab").slos
    groups = [
        group for name, slo in sorted(slos.items()) for group in (_records(name, slo), _alerts(name, slo))
    ]
    text = StringIO()
    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({"groups": groups}, text)
    return HEADER + "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _records(name: str, slo: Slo) -> dict[str, Any]:
    budget = _number(1 - slo.objective_percent / 100)
    rules = [
        _record("slo:error_budget:ratio", f"vector({budget})", name),
        *INDICATED[slo.indicator](name, slo),
    ]
    rate, days = f'slo:error_ratio:rate5m{{slo="{name}"}}', slo.window_days
    remaining = f"1 - avg_over_time({rate}[{days}d]) / {budget}"
    rules.append(_record("slo:error_budget_remaining:ratio", remaining, name))
    return {"name": f"slo-{name}", "interval": "30s", "rules": rules}


def _availability(name: str, slo: Slo) -> list[dict[str, Any]]:
    """Return the share of answers that are errors of ours, and how many there were."""
    windows = INDICATORS[slo.indicator].windows
    return [
        *(_record(f"slo:error_ratio:rate{window}", _errors(window), name) for window in windows),
        _record("slo:events:increase5m", f"sum(increase({RESPONSES}}}[5m]))", name),
        _record("slo:errors:increase6h", f'sum(increase({RESPONSES},code="5xx"}}[6h]))', name),
    ]


def _latency(name: str, slo: Slo) -> list[dict[str, Any]]:
    """Return the share of time in which probes that were answered took longer than the threshold."""
    slow = f"(probe_duration_seconds{{{PROBES}}} > bool {_number((slo.threshold_ms or 0) / 1000)})"
    own = f'slo:slow:ratio{{slo="{name}"}}'
    return [
        _record("slo:slow:ratio", f"avg({slow} and on (job, instance) probe_success == 1)", name),
        *(
            _record(f"slo:error_ratio:rate{window}", f"avg_over_time({own}[{window}])", name)
            for window in INDICATORS[slo.indicator].windows
        ),
    ]


def _journey(name: str, slo: Slo) -> list[dict[str, Any]]:
    """Return the share of runs that failed; each stands for the time until the next, all are as far apart."""
    return [
        *(
            _record(f"slo:error_ratio:rate{window}", f"1 - avg(avg_over_time({JOURNEY}[{window}]))", name)
            for window in INDICATORS[slo.indicator].windows
        ),
        _record("slo:runs:count1d", f"min(count_over_time({JOURNEY}[1d:5m]))", name),
    ]


INDICATED = {"availability": _availability, "latency": _latency, "journey": _journey}


def _errors(window: str) -> str:
    """Return the share of answers that are errors of ours; nothing where there are no answers."""
    errors, everything = (f"sum(rate({RESPONSES}{code}}}[{window}]))" for code in (',code="5xx"', ""))
    return f"{errors} / ({everything} > 0)"


def _record(record: str, expression: str, slo: str) -> dict[str, Any]:
    return {"record": record, "expr": expression, "labels": {"slo": slo}}


def _alerts(name: str, slo: Slo) -> dict[str, Any]:
    rules = [_burn(name, slo, burn) for burn in INDICATORS[slo.indicator].burns]
    if slo.indicator == "availability":
        rules.append(_low_traffic(name, slo))
    rules.append(_absent(name, slo))
    return {"name": f"slo-{name}-alerts", "interval": "15s", "rules": rules}


def _burn(name: str, slo: Slo, burn: Burn) -> dict[str, Any]:
    indicator = INDICATORS[slo.indicator]
    enough = f" and {indicator.enough}" if indicator.enough else ""
    enough = enough.replace("{selector}", f'{{slo="{name}"}}')
    pairs = [_pair(name, slo, *pair) + enough for pair in burn.pairs]
    long, _, share = burn.pairs[0]
    texts = Texts(
        f"{name} burns its error budget: {VALUE} of the {indicator.counted} of the last {long} were bad",
        f"At this rate {share:.0%} of the budget of {slo.window_days} days goes in {long}; visitors notice.",
        f"{name} {ZH[burn.alert]}：最近 {long} 内有 {VALUE} 的请求不达标" if burn.alert in ZH else "",
    )
    return _alert(burn.alert, " or ".join(pairs), (burn.wait, burn.severity), (name, slo), texts)


def _pair(name: str, slo: Slo, long: str, short: str, share: float) -> str:
    """Return the condition that both windows show a burn of `share` of the budget within the long one."""
    rate = share * slo.window_days * 24 / HOURS[long]
    limit = _number(rate * (1 - slo.objective_percent / 100))
    return " and ".join(f'slo:error_ratio:rate{window}{{slo="{name}"}} > {limit}' for window in (long, short))


def _low_traffic(name: str, slo: Slo) -> dict[str, Any]:
    # the short window lets it end with the trouble, not hours later
    expression = (
        f'slo:error_ratio:rate6h{{slo="{name}"}} > {LOW_RATIO} '
        f'and slo:error_ratio:rate5m{{slo="{name}"}} > {LOW_RATIO} '
        f'and slo:errors:increase6h{{slo="{name}"}} >= {LOW_ERRORS_MIN} '
        f'and slo:events:increase5m{{slo="{name}"}} < {EVENTS_MIN}'
    )
    texts = Texts(
        f"{name}: {VALUE} of the few answers of the last 6h were errors",
        "With little traffic the burn alerts stay silent, and the few who come meet errors all the same.",
    )
    return _alert("SloLowTrafficErrors", expression, ("5m", "ticket"), (name, slo), texts)


def _absent(name: str, slo: Slo) -> dict[str, Any]:
    expression = (
        f'(slo:error_budget:ratio{{slo="{name}"}} unless on (slo) slo:error_ratio:rate5m{{slo="{name}"}}) '
        'and on () (max(probe_success{job="probe-site"}) == 1)'
    )
    texts = Texts(
        f"{name} cannot be judged: the site answers and nothing counts it",
        "An objective without data looks like one that is met.",
    )
    return _alert("SloDataAbsent", expression, ("10m", "ticket"), (name, slo), texts)


def _alert(
    alert: str, expression: str, when: tuple[str, str], about: tuple[str, Slo], texts: Texts
) -> dict[str, Any]:
    """Return one alert rule; `when` is its `for` and severity."""
    (wait, severity), (name, slo) = when, about
    labels = {
        "severity": severity, "layer": "slo", "service": "https", "kind": "symptom", "maturity": "proven",
        "plan": "tech.maintenance", "team": slo.owner, "slo": name,
    }  # fmt: skip
    notes = {
        "summary": texts.says,
        **({"summary_zh": texts.zh} if texts.zh else {}),
        "description": texts.why,
    }
    notes["runbook"] = f"runbooks/alerts/{alert}.md"
    return {"alert": alert, "expr": expression, "for": wait, "labels": labels, "annotations": notes}


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


if __name__ == "__main__":
    TARGET.write_text(document(), "utf-8")
