# SPDX-License-Identifier: Apache-2.0
"""Who is told of an alert: the shape of an environment's receivers, and the routes that follow from teams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from infra.spec.platform_files import Port
from infra.spec.types import Address, Domain, Frozen, HttpsUrl, MailAddress, Name, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.spec.environment import Environment
    from infra.spec.model import Platform
    from infra.spec.platform_files import Team

Authority = Literal["public", "internal"]
# kind → (keys that it needs, further keys that it may have)
KEYS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "mail": (frozenset({"domain"}), frozenset()),
    "webhook": (frozenset({"url"}), frozenset({"secret", "authority"})),
    "pagerduty": (frozenset({"secret"}), frozenset({"url", "authority"})),
    "opsgenie": (frozenset({"secret"}), frozenset({"url", "authority"})),
}


class Relay(Frozen):
    """The mail relay: `host` is the name in its certificate, `address` what the firewall opens.

    Port 465 is TLS from the first byte, every other port must offer STARTTLS; there is no mail in clear text.
    """

    host: Domain
    address: Address
    port: Port
    sender: MailAddress
    username: Name | None = None
    secret: Name | None = None
    authority: Authority = "public"

    @model_validator(mode="after")
    def _login_is_whole(self) -> Relay:
        if (self.username is None) != (self.secret is None):
            raise ValueError("username and secret belong together: a login has both")
        return self


def _relay(value: object) -> object:
    if value == "none":
        return None
    if isinstance(value, dict):
        return value
    raise ValueError("must be none, or {host: …, address: …, port: …, sender: …}")


SmtpRelay = Annotated[Relay | None, BeforeValidator(_relay)]


class Receiver(Frozen):
    """One way to reach people; which keys belong to which kind stands in KEYS."""

    kind: Literal["mail", "webhook", "pagerduty", "opsgenie"]
    domain: Domain | None = None
    url: HttpsUrl | None = None
    secret: Name | None = None
    authority: Authority = "public"

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> Receiver:
        needed, allowed = KEYS[self.kind]
        given = self.model_fields_set - {"kind"}
        for key in sorted(needed - given):
            raise ValueError(f"kind {self.kind!r} needs {key}")
        for key in sorted(given - needed - allowed):
            raise ValueError(f"{key} does not belong to kind {self.kind!r}")
        return self


class Alerting(Frozen):
    """The receivers of an environment; `fallback` is the team for alerts whose team nobody knows."""

    fallback: Name
    receivers: Annotated[dict[Name, Receiver], Field(min_length=1)]


SEVERITIES = ("page", "ticket")


def ways(team: Team, severity: str) -> list[str]:
    """Return the names of the receivers that a team wants for alerts of `severity`."""
    return list(team.page if severity == "page" else team.ticket)


def routes(platform: Platform) -> list[dict[str, Any]]:
    """Return one entry a team and severity: its name in Alertmanager and the ways in it; [] tells nobody."""
    alerting = platform.environment.alerting
    if alerting is None:
        return []
    return [
        {
            "name": f"{name}-{severity}",
            "team": name,
            "severity": severity,
            "ways": [_way(way, alerting.receivers[way], team) for way in ways(team, severity)],
        }
        for name, team in platform.teams.items()
        for severity in SEVERITIES
    ]


def _way(name: str, receiver: Receiver, team: Team) -> dict[str, Any]:
    to = f"{team.contact}@{receiver.domain}" if receiver.kind == "mail" else ""
    return {"name": name, "to": to, **plain(receiver)}


def switch_recipients(environment: Environment, teams: Mapping[str, Team]) -> list[str]:
    """Return whom the dead man's switch mails: the fallback team, by its ways for pages."""
    alerting = environment.alerting
    team = teams.get(alerting.fallback) if alerting else None
    if alerting is None or team is None:
        return []
    found = [alerting.receivers[way] for way in ways(team, "page") if way in alerting.receivers]
    return [f"{team.contact}@{receiver.domain}" for receiver in found if receiver.kind == "mail"]


def alertmanager_secrets(platform: Platform) -> list[str]:
    """Return the names of the secrets that Alertmanager reads from files, each once."""
    environment = platform.environment
    named: Mapping[str, Receiver] = environment.alerting.receivers if environment.alerting else {}
    names = [receiver.secret for receiver in named.values()]
    if environment.smtp_relay and any(receiver.kind == "mail" for receiver in named.values()):
        names.append(environment.smtp_relay.secret)
    if platform.with_role("deadman", enabled_only=True):
        names.append("deadman")
    return sorted({name for name in names if name})
