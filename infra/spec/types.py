# SPDX-License-Identifier: Apache-2.0
"""Shared pieces of the model: the frozen base and the word shapes."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=32)]
PlanId = Annotated[str, StringConstraints(pattern=r"^[a-z]+\.[a-z]+(-[a-z]+)*$")]
AlertName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]+$")]
Domain = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]*[A-Za-z0-9]$")]
KeyFile = Annotated[str, StringConstraints(pattern=r"^~?/[A-Za-z0-9._/-]*[A-Za-z0-9]$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
HostKey = Annotated[str, StringConstraints(pattern=r"^ssh-ed25519 [A-Za-z0-9+/]{68}$")]
HttpsUrl = Annotated[
    str, StringConstraints(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._/~-]*)?$")
]
MailAddress = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]+@([a-z0-9-]+\.)+[a-z]{2,}$")]
Package = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]


class Frozen(BaseModel):
    """Base of every part of the description: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _address(value: object) -> IPv4Address:
    try:
        return IPv4Address(str(value))
    except AddressValueError as error:
        raise ValueError("must be an IPv4 address, like 10.87.0.11") from error


def _calendar(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9*,.:/~ -]+", value) or ":" not in value:
        raise ValueError("must be a systemd calendar with a time, like '*-*-* 03:20:00'")
    return value


def _timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("must be a time zone of the IANA database, like 'Asia/Shanghai'")
    return value


Address = Annotated[IPv4Address, BeforeValidator(_address), Field(strict=False)]
Timezone = Annotated[str, AfterValidator(_timezone)]
Calendar = Annotated[str, AfterValidator(_calendar)]


class Text(Frozen):
    """A text of the site in both languages."""

    en: str
    zh: str


def plain(model: BaseModel) -> dict[str, Any]:
    """Return a model as plain data for inventories and JSON."""
    return model.model_dump(mode="json")
