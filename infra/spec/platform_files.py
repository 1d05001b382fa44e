# SPDX-License-Identifier: Apache-2.0
"""Shapes of the files in inventories/platform, one class a file entry."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from infra.spec.types import (
    AbsolutePath,
    AlertName,
    Calendar,
    Frozen,
    Name,
    Package,
    PlanId,
    Sha256,
    Text,
    Timezone,
)

Port = Annotated[int, Field(ge=1, le=65535)]
Positive = Annotated[int, Field(gt=0)]


class Role(Frozen):
    """What a host can be."""

    title: str
    packages: list[Package]
    exclusive_with: dict[Name, str] = Field(default_factory=dict)


class Size(Frozen):
    """A named class of machine: memory in MiB, CPUs in whole ones."""

    memory_mib: Annotated[int, Field(ge=256)]
    cpus: Annotated[int, Field(ge=1, le=64)]


class Pool(Frozen):
    """How members of a service may be taken out: the disruption budget and the way back."""

    min_up: Annotated[int, Field(ge=0)]
    max_drained_percent: Annotated[int, Field(ge=1, le=100)]
    drain: Literal["edge", "none"]
    slow_start_seconds: Annotated[int, Field(ge=0, le=600)]
    health_path: AbsolutePath


class Service(Frozen):
    """Something that listens on the hosts of a role."""

    role: Name
    port: Port
    owner: Name
    state: Literal["setup", "live", "retired"]
    probe: Literal["tcp", "scrape", "https", "redirect"]
    tls: bool
    metrics_path: AbsolutePath | None = None
    slo: Name | None = None
    backup: str | None = None
    pool: Pool | None = None
    shares_port_with: Name | None = None

    @model_validator(mode="after")
    def _scrape_names_its_path(self) -> Service:
        if self.probe == "scrape" and self.metrics_path is None:
            raise ValueError("a service with probe 'scrape' needs metrics_path")
        return self


class Flow(Frozen):
    """Who may talk to whom; exactly one of service and protocol."""

    from_: str = Field(alias="from")
    to: str
    service: Name | None = None
    protocol: Literal["vrrp"] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Flow:
        if (self.service is None) == (self.protocol is None):
            raise ValueError("needs exactly one of service and protocol")
        return self


class Secret(Frozen):
    """A generated value; `length` counts characters of passwords and tokens."""

    kind: Literal["password", "token", "ssh-key", "ca"]
    title: str
    readers: list[Name]
    length: Annotated[int, Field(ge=16, le=128)] | None = None
    per_site: bool = False

    @model_validator(mode="after")
    def _length_where_needed(self) -> Secret:
        if (self.kind in {"password", "token"}) != (self.length is not None):
            raise ValueError("length belongs to kinds password and token, and only there")
        return self


class Origin(Frozen):
    """Where a WordPress, plugin or theme comes from: Debian, this project, or a hashed archive."""

    source: Literal["debian", "project", "archive"] = "debian"
    name: Name | None = None
    version: str | None = None
    archive: str | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _archive_is_pinned(self) -> Origin:
        given = [self.version, self.archive, self.sha256]
        if self.source == "archive" and None in given:
            raise ValueError("source 'archive' needs version, archive and sha256")
        if self.source != "archive" and any(given):
            raise ValueError("version, archive and sha256 belong to source 'archive'")
        return self


class Account(Frozen):
    """An account that the platform makes on a site: login name, and mail address before the domain."""

    login: Name
    email_local_part: Name


class Site(Frozen):
    """One site, whichever environment runs it."""

    title: Text
    tagline: Text
    languages: Annotated[list[Literal["zh_CN", "en_US"]], Field(min_length=1)]
    timezone: Timezone
    wordpress: Origin
    theme: Origin
    plugins: list[Origin]
    permalinks: str
    admin: Account
    journey: Account
    uploads_gib: Positive

    @model_validator(mode="after")
    def _plugins_have_names(self) -> Site:
        names = [plugin.name for plugin in self.plugins]
        if None in names:
            raise ValueError("every plugin needs a name")
        if len(set(names)) != len(names):
            raise ValueError("names a plugin twice")
        return self


class Slo(Frozen):
    """An objective over a rolling window of days; latency thresholds are in milliseconds."""

    indicator: Literal["availability", "latency", "journey"]
    objective_percent: Annotated[float, Field(gt=50, lt=100)]
    window_days: Annotated[int, Field(ge=1, le=90)]
    owner: Name
    threshold_ms: Positive | None = None

    @model_validator(mode="after")
    def _latency_has_a_threshold(self) -> Slo:
        if (self.indicator == "latency") != (self.threshold_ms is not None):
            raise ValueError("threshold_ms belongs to indicator latency, and only there")
        return self


class Team(Frozen):
    """A group of people that owns services and tasks; contact is the local part of a mail address.

    `page` and `ticket` name the receivers of the environment that hear of its alerts of that severity.
    """

    title: str
    contact: Name
    page: Annotated[list[Name], Field(min_length=1)]
    ticket: Annotated[list[Name], Field(min_length=1)]


class Person(Frozen):
    """Somebody with access: teams and public SSH keys."""

    teams: list[Name]
    ssh_keys: list[
        Annotated[str, Field(pattern=r"^(ssh-ed25519|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/=]+( \S+)?$")]
    ]


class TaskHosts(Frozen):
    """Where a task runs: each host of a role, or the first enabled one."""

    role: Name | None = None
    one_of: Name | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> TaskHosts:
        if (self.role is None) == (self.one_of is None):
            raise ValueError("needs exactly one of role and one_of")
        return self


class Task(Frozen):
    """A periodic duty of the plan; times are in seconds."""

    plan: PlanId
    title: str
    owner: Name
    hosts: TaskHosts
    calendar: Calendar
    period_seconds: Annotated[int, Field(ge=60)]
    deadline_seconds: Positive
    randomized_delay_seconds: Annotated[int, Field(ge=0)]
    user: Name
    command: Annotated[list[str], Field(min_length=1)]
    runbook: AlertName
    per_site: bool = False

    @model_validator(mode="after")
    def _fits_its_period(self) -> Task:
        if self.deadline_seconds >= self.period_seconds:
            raise ValueError("deadline_seconds must be shorter than period_seconds")
        if self.randomized_delay_seconds >= self.period_seconds:
            raise ValueError("randomized_delay_seconds must be shorter than period_seconds")
        if self.per_site != any("{site}" in word for word in self.command):
            raise ValueError("a task per site has {site} in its command, and no other task has")
        if not self.command[0].startswith("/"):
            raise ValueError("command must start with an absolute path")
        return self


class Clause(Frozen):
    """A clause of the plan and whether the platform carries it out."""

    section: str
    title: Text
    state: Literal["planned", "live"]
