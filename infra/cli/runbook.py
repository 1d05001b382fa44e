# SPDX-License-Identifier: Apache-2.0
"""`perennial runbook`: the pages of alerts; nothing here reaches a host."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markdown import Markdown

from infra.cli.common import AsJson, err, new_app, out, print_json, table
from infra.fleet.exits import Exit, PerennialError
from infra.runbook import lint, page, rules
from infra.spec import CHECKOUT, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

app = new_app(
    "Read and check the runbook pages of alerts.",
    "perennial runbook list",
    "perennial runbook show TaskLate --label instance=app-1 --label task=wp-cron",
    "perennial runbook check",
)
MOST_COLUMNS = 110
LABEL = re.compile(r"\$([a-z_]+)")
ATTRIBUTES = re.compile(r"^(```[a-z]+) \{.*\}$", re.MULTILINE)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List alerts with severity, what they say, and the commands on their pages."""
    rows = []
    for name, alert in rules.alerts().items():
        path = lint.PAGES / f"{name}.md"
        blocks = page.read(path).blocks if path.exists() else ()
        names = [block.attributes.name for block in blocks]
        rows.append({"alert": name, "severity": alert.severity, "summary": alert.summary, "blocks": names})
    if as_json:
        print_json(rows)
        return
    shown = [(str(row["alert"]), str(row["severity"]), ", ".join(row["blocks"])) for row in rows]
    table("runbook pages", ("alert", "severity", "commands on its page"), shown)


@app.command()
def show(
    alert: Annotated[str, typer.Argument(help="Name of an alert, from `runbook list`.")],
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="A label of the alert, as task=wp-cron; may be repeated."),
    ] = None,
) -> None:
    """Print a page, with the labels of the alert as the variables that its commands use."""
    path = lint.PAGES / f"{alert}.md"
    if not path.exists():
        near = nearest(alert, rules.alerts())
        raise PerennialError(
            f"no page for {alert!r}", nearest=near, next_="perennial runbook list", code=Exit.USAGE
        )
    found = page.read(path)
    text = readable(found, labels_of(label or []))
    if out.is_terminal:
        out.print(Markdown(text), width=min(out.width, MOST_COLUMNS))
    else:
        print(text, end="")


def labels_of(words: list[str]) -> dict[str, str]:
    """Return labels from `name=value` words; raise PerennialError (64) for a word that is none."""
    labels = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or not re.fullmatch(r"[a-z_]+", name) or not value:
            raise PerennialError(
                f"{word!r} is no label", where="--label", next_="--label task=wp-cron", code=Exit.USAGE
            )
        labels[name] = value
    return labels


def readable(found: page.Page, labels: Mapping[str, str]) -> str:
    """Return the page's Markdown for reading: attributes left out, labels as variables to set first.

    Labels are other people's words: they reach a shell as environment alone, never as text of a command. In
    PromQL, which has no variables, they stand as escaped strings.
    """
    text = found.body
    for block in found.blocks:
        if block.language == "promql":
            text = text.replace(block.text, LABEL.sub(lambda match: _string(match, labels), block.text), 1)
    text = ATTRIBUTES.sub(r"\1", text)
    if not labels:
        return text
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in labels.items())
    title, _, rest = text.partition("\n")
    return f"{title}\n\n```bash\nexport {words}\n```\n{rest}"


def _string(match: re.Match[str], labels: Mapping[str, str]) -> str:
    return json.dumps(labels[match[1]], ensure_ascii=False)[1:-1] if match[1] in labels else match[0]


@app.command()
def check(as_json: AsJson = False) -> None:
    """Check every page: sections, commands, names, links, and whether its rule has changed since; exit 1."""
    findings = lint.check()
    if as_json:
        print_json(
            [{"file": str(f.where.relative_to(CHECKOUT)), "line": f.line, "what": f.what} for f in findings]
        )
    else:
        for finding in findings:
            err.print(f"{finding.where.relative_to(CHECKOUT)}:{finding.line}: {finding.what}", markup=False)
    if findings:
        raise PerennialError(
            f"{len(findings)} findings", next_="mend the pages, then perennial runbook check"
        )
    if not as_json:
        out.print(f"{len(rules.alerts())} pages, each with its alert")
