# SPDX-License-Identifier: Apache-2.0
"""`perennial secret`: which secrets there are, and one value on explicit request, journaled."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.common import AsJson, Env, Reason, fleet_of, new_app, print_json, table
from infra.fleet import journal
from infra.fleet.exits import Exit, PerennialError
from infra.spec import load, nearest

app = new_app(
    "List secrets; show one value.",
    "perennial secret list",
    "perennial secret show wordpress-admin",
    "perennial secret show db-admin --env test --reason 'restore drill'",
)


@app.command("list")
def list_(env: Env = "lab", as_json: AsJson = False) -> None:
    """List names, kinds and readers; values are never listed."""
    secrets = load(env).secrets.values()
    rows = [{"name": s.name, "kind": s.kind, "title": s.title, "readers": list(s.readers)} for s in secrets]
    if as_json:
        print_json(rows)
        return
    shown = [(s.name, s.kind, ", ".join(s.readers) or "nobody", s.title) for s in secrets]
    table(f"secrets of {env}", ("name", "kind", "readers", "title"), shown)


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="A name from `secret list`; the site may be left out if it is the only one.")
    ],
    env: Env = "lab",
    field: Annotated[
        str, typer.Option("--field", help="Which part: value, private_key, public_key, certificate.")
    ] = "",
    reason: Reason = "asked for",
) -> None:
    """Print one value, alone on its line; the journal records who asked, never the value."""
    platform = load(env)
    full = full_name(name, tuple(platform.secrets), tuple(platform.sites))
    fleet = fleet_of(env)
    parts = fleet.secret(full)
    wanted = field or ("value" if "value" in parts else "")
    if wanted not in parts:
        kinds = ", ".join(sorted(set(parts) - {"kind"}))
        near = nearest(field, parts)
        raise PerennialError(f"{full} has: {kinds}", nearest=near, next_="--field NAME", code=Exit.USAGE)
    with journal.act(env, f"perennial secret show {full}", reason=reason, hosts=(), fleet=fleet):
        print(parts[wanted])


def full_name(name: str, known: tuple[str, ...], sites: tuple[str, ...]) -> str:
    """Return the secret that `name` means; raise PerennialError (64) with the nearest name."""
    if name in known:
        return name
    per_site = [f"{name}-{site}" for site in sites if f"{name}-{site}" in known]
    if len(per_site) == 1:
        return per_site[0]
    near = per_site[0] if per_site else nearest(name, known)
    raise PerennialError(f"no secret {name!r}", nearest=near, next_="perennial secret list", code=Exit.USAGE)
