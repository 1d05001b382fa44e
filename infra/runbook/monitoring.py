# SPDX-License-Identifier: Apache-2.0
"""What Prometheus and Alertmanager of a fleet say, over TLS under the platform's own authority."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import requests
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect
from requests.adapters import HTTPAdapter

from infra.fleet.exits import PerennialError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.inventory import Fleet

TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Live:
    """An alert that fires: its fingerprint in Alertmanager, its labels and what its summary says."""

    fingerprint: str
    labels: Mapping[str, str]
    summary: str
    since: str


class Monitoring(Protocol):
    """Something that knows which alerts fire and answers PromQL."""

    def firing(self, alert: str) -> list[Live]:
        """Return the firing alerts of that name; silenced and inhibited ones too. Raises PerennialError."""
        ...

    def query(self, text: str) -> list[str]:
        """Return one line for each series that PromQL `text` answers now. Raises PerennialError."""
        ...


class _Trusting(HTTPAdapter):
    """Trusts one authority alone."""

    def __init__(self, authority: str) -> None:
        self._context = ssl.create_default_context(cadata=authority)
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Hand the context to the pool of connections."""
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)


class LiveMonitoring:
    """The first enabled monitoring host of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Remember where; raise PerennialError where no host monitors."""
        found = fleet.platform.with_role("monitoring", enabled_only=True)
        if not found:
            raise PerennialError("no host monitors this environment", where=fleet.platform.name)
        self.host = found[0].name
        services, address = fleet.platform.services, found[0].address
        self._alertmanager = f"https://{address}:{services['alertmanager'].port}/api/v2"
        prometheus = f"https://{address}:{services['prometheus'].port}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._prometheus = PrometheusConnect(prometheus, session=self._session, timeout=TIMEOUT_SECONDS)
        # After the client, which mounts an adapter of its own for its address.
        trusting = _Trusting(fleet.secret("authority")["certificate"])
        for prefix in ("https://", prometheus):
            self._session.mount(prefix, trusting)

    def firing(self, alert: str) -> list[Live]:
        """Return the firing alerts of that name; see Monitoring."""
        return self._alerts(filter=f'alertname="{alert}"', active="true")

    def notifying(self) -> list[Live]:
        """Return the alerts that people are told of: neither silenced nor inhibited; see firing."""
        return self._alerts(active="true", silenced="false", inhibited="false")

    def _alerts(self, **parameters: str) -> list[Live]:
        try:
            answer = self._session.get(
                f"{self._alertmanager}/alerts", params=parameters, timeout=TIMEOUT_SECONDS
            )
            answer.raise_for_status()
            found = answer.json()
        except requests.RequestException as error:
            raise self._silent("Alertmanager", error) from error
        return [
            Live(one["fingerprint"], one["labels"], one["annotations"].get("summary", ""), one["startsAt"])
            for one in found
        ]

    def query(self, text: str) -> list[str]:
        """Return one line for each series; see Monitoring."""
        try:
            found: list[dict[str, Any]] = self._prometheus.custom_query(text)
        except (requests.RequestException, PrometheusApiClientException) as error:
            raise self._silent("Prometheus", error) from error
        return [_line(series) for series in found]

    def series(self, minutes: int = 15) -> list[dict[str, str]]:
        """Return the labels of every series of the last `minutes`. Raises PerennialError."""
        end = datetime.now(UTC)
        begin = end - timedelta(minutes=minutes)
        try:
            found: list[dict[str, str]] = self._prometheus.get_series(
                begin, end, params={"match[]": '{__name__!=""}'}
            )
        except requests.RequestException as error:
            raise self._silent("Prometheus", error) from error
        return found

    def _silent(self, who: str, error: Exception) -> PerennialError:
        return PerennialError(
            f"{who} does not answer: {str(error)[:200]}", where=self.host, next_="perennial fleet status"
        )


def _line(series: dict[str, Any]) -> str:
    labels = {name: value for name, value in series["metric"].items() if name != "__name__"}
    words = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{series['metric'].get('__name__', '')}{{{words}}} {series['value'][1]}"
