# SPDX-License-Identifier: Apache-2.0
"""Rules about receivers: every team reaches somebody, every secret exists and its reader may have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.spec.alerting import SEVERITIES, switch_recipients, ways
from infra.spec.errors import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.spec.environment import Environment
    from infra.spec.source import Source

Path = tuple[str | int, ...]


def _teams_reach_somebody(
    environment: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    if environment.alerting is None:
        return
    known = environment.alerting.receivers
    for name, team in parts["teams"].items():
        for severity in SEVERITIES:
            for index, way in enumerate(ways(team, severity)):
                if way not in known:
                    message = f"environment {environment.environment!r} has no receiver named {way!r}"
                    at: Path = ("teams", name, severity, index)
                    yield sources["people"].problem(at, message, nearest(way, known))
    fallback = environment.alerting.fallback
    if fallback not in parts["teams"]:
        message = f"no team named {fallback!r}"
        path = ("alerting", "fallback")
        yield sources["environment"].problem(path, message, nearest(fallback, parts["teams"]))


def _secrets_of_receivers(
    environment: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    source = sources["environment"]
    for path, name in _named_secrets(environment):
        secret = parts["secrets"].get(name)
        if secret is None or secret.per_site or secret.length is None:
            valid = [key for key, one in parts["secrets"].items() if one.length and not one.per_site]
            message = f"no password or token named {name!r} in secrets.yml"
            yield source.problem(path, message, nearest(name, valid))
            continue
        for role in _readers(environment, path):
            if role not in secret.readers:
                yield source.problem(path, f"secret {name!r} has no reader {role!r} in secrets.yml")


def _readers(environment: Environment, path: Path) -> Iterator[str]:
    """Yield the roles that need a secret named at `path`."""
    if path[0] in ("alerting", "smtp_relay"):
        yield "monitoring"
    for role in ("deadman", "mailsink"):
        if path[0] == "smtp_relay" and any(role in host.roles for host in environment.hosts.values()):
            yield role


def _named_secrets(environment: Environment) -> Iterator[tuple[Path, str]]:
    for index, name in enumerate(environment.given_secrets):
        yield ("given_secrets", index), name
    relay, alerting = environment.smtp_relay, environment.alerting
    if relay and relay.secret:
        yield ("smtp_relay", "secret"), relay.secret
    for name, receiver in alerting.receivers.items() if alerting else ():
        if receiver.secret:
            yield ("alerting", "receivers", name, "secret"), receiver.secret


def _receivers_can_be_reached(
    environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    source, alerting = sources["environment"], environment.alerting
    for name, receiver in alerting.receivers.items() if alerting else ():
        path = ("alerting", "receivers", name)
        service = receiver.kind in {"pagerduty", "opsgenie"} and receiver.url is None
        if receiver.kind == "mail" and environment.smtp_relay is None:
            yield source.problem(path, "kind 'mail' needs an smtp_relay, which is none")
        elif service and receiver.secret not in environment.given_secrets:
            message = f"the key comes from {receiver.kind}: {receiver.secret!r} must stand in given_secrets"
            yield source.problem((*path, "secret"), message)
        elif service and environment.egress == "package-cache":
            message = f"hosts with egress 'package-cache' do not reach {receiver.kind}; give url, or egress"
            yield source.problem(path, message)


def _the_switch_can_tell(
    environment: Environment, parts: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    """A dead man's switch that nobody hears is none."""
    for name, host in environment.hosts.items():
        if "deadman" in host.roles and not switch_recipients(environment, parts["teams"]):
            message = "role 'deadman' needs a fallback team whose pages go to a receiver of kind 'mail'"
            yield sources["environment"].problem(("hosts", name, "roles"), message)


def _the_sink_is_the_relay(
    environment: Environment, _: Mapping[str, Any], sources: Mapping[str, Source]
) -> Iterator[Problem]:
    """A sink that nobody sends to keeps nothing; one without a login would keep what anybody sends."""
    relay = environment.smtp_relay
    for name, host in environment.hosts.items():
        if "mailsink" not in host.roles:
            continue
        if relay is None or relay.address != host.address or relay.secret is None:
            message = (
                f"role 'mailsink' needs an smtp_relay with a login at this host's address {host.address}"
            )
            yield sources["environment"].problem(("hosts", name, "roles"), message)


ALERTING_RULES = (
    _teams_reach_somebody,
    _secrets_of_receivers,
    _receivers_can_be_reached,
    _the_switch_can_tell,
    _the_sink_is_the_relay,
)
