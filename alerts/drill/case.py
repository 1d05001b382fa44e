# SPDX-License-Identifier: Apache-2.0
"""What `tests/drills/<AlertName>.yml` says: which faults an alert must see, and how to tell they are over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from infra.fleet.exits import Exit, PerennialError
from infra.runbook.page import Strict
from infra.runbook.rules import alerts
from infra.spec import CHECKOUT, nearest

if TYPE_CHECKING:
    from pathlib import Path

SHARED = ("tasks", "slo")  # what scheduled tasks report, and what the objectives count: of all hosts
DRILLS = CHECKOUT / "tests" / "drills"
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class Fault(Strict):
    """One fault: `inject` brings it about on `host` and it stays; `healthy` ends with 0 only without it.

    `healthy` runs on `healthy_on` where that is another host. `undo` is the net below a drill that failed;
    `labels` are those of the alert that must fire. `also` names hosts where the same is done. `load` requests
    a second are sent meanwhile; `patience` (s) is what the alert's own window takes beyond scrapes and `for`.
    `lingers` (s) is what its window takes to forget the fault, `touches` that of Case for this fault alone.
    """

    name: Slug
    host: str
    inject: str
    healthy: str
    undo: str
    labels: dict[str, str] = Field(default_factory=dict)
    healthy_on: str = ""
    also: tuple[str, ...] = ()
    load: Annotated[float, Field(ge=0, le=20)] = 0
    patience: Annotated[float, Field(ge=0, le=3600)] = 0
    lingers: Annotated[float, Field(ge=0, le=3600)] = 0
    touches: tuple[str, ...] = ()


class Case(Strict):
    """The drill of one alert; `allowed` ones may fire beside it, `unshown` says why there are no faults.

    `alone` ones break what every other drill needs: nothing is drilled beside them. `touches` names the roles
    that are out of bounds for drills beside it, where those of its hosts say too much or too little, and
    names of SHARED.
    """

    alert: str
    alone: bool = False
    touches: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    allowed: tuple[str, ...] = ()
    unshown: str = ""


def read(alert: str, folder: Path = DRILLS) -> Case:
    """Return the drill of `alert`; raise PerennialError (64) naming the mistake, or the nearest alert."""
    path = folder / f"{alert}.yml"
    if not path.exists():
        known = [found.stem for found in folder.glob("*.yml")]
        hint = nearest(alert, known)
        raise PerennialError(
            f"no drill for {alert!r}", nearest=hint, next_="perennial drill list", code=Exit.USAGE
        )
    try:
        case = Case.model_validate(YAML(typ="safe").load(path.read_text("utf-8")))
    except (YAMLError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        where = ".".join(str(part) for part in first["loc"]) if first else ""
        what = f"{where}: {first['msg']}" if first else " ".join(str(error).split())[:200]
        raise PerennialError(what, where=path.name, code=Exit.USAGE) from error
    _sound(case, path)
    return case


def _sound(case: Case, path: Path) -> None:
    """Refuse what can be judged without a platform."""
    wrong = ""
    unknown = [name for name in (case.alert, *case.allowed) if name not in alerts()]
    if case.alert != path.stem:
        wrong = f"alert is {case.alert}"
    elif unknown:
        wrong = f"no alert {unknown[0]}"
    elif bool(case.faults) == bool(case.unshown):
        wrong = "either faults, or `unshown` with the reason"
    if wrong:
        raise PerennialError(wrong, where=str(path.name), code=Exit.USAGE)


def every(folder: Path = DRILLS) -> list[Case]:
    """Return all drills in the order of their names."""
    return [read(path.stem, folder) for path in sorted(folder.glob("*.yml"))]
