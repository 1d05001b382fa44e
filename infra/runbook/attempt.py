# SPDX-License-Identifier: Apache-2.0
"""One attempt of a block: a transient systemd unit on a host, or a query; and whether its expectation holds.

A unit of its own lets the host itself end a command that takes too long, with everything it started, and
tells after a lost connection whether it still runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from infra.fleet.exits import PerennialError
from infra.fleet.remote import SSH_FAILED, TIMED_OUT
from infra.runbook import labels as variables
from infra.runbook.page import seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.fleet.remote import Runner
    from infra.runbook.monitoring import Monitoring
    from infra.runbook.page import Block, Expect

GRACE_SECONDS = 15  # what the connection may take on top of the command's own time
CONTROL_RELEASE = "/opt/perennial/current"
CONTROL = {
    "HOME": "/var/lib/perennial/control",
    "PATH": f"{CONTROL_RELEASE}/.venv/bin:/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH": CONTROL_RELEASE,
}


class Ending(StrEnum):
    """How an attempt ended. After `unverifiable` nobody knows what was done: a run stops there."""

    ENDED = "ended"
    TIMED_OUT = "timed out"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True)
class Attempt:
    """What a block answered on one host, and whether that is what its page expects."""

    host: str
    ending: Ending
    returncode: int
    output: str
    met: bool
    why: str


@dataclass(frozen=True)
class Bench:
    """What every attempt of a run needs: where it goes, with which labels, under which name."""

    runner: Runner
    monitoring: Monitoring
    labels: Mapping[str, str]
    environment: str
    run: str


def attempt(bench: Bench, block: Block, host: str) -> Attempt:
    """Carry out `block` once on `host`; an answer that is not expected is no error.

    Raises PerennialError where Prometheus does not answer a query.
    """
    if block.language == "promql":
        lines = bench.monitoring.query(variables.query(block.text, bench.labels))
        return _judged(block.attributes.expect, host, 0, "\n".join(lines))
    return _shell(bench, block, host)


def _shell(bench: Bench, block: Block, host: str) -> Attempt:
    unit = f"perennial-runbook-{bench.run}-{block.attributes.name}.service"
    limit = seconds(block.attributes.timeout)
    result = bench.runner.run(
        host,
        command(bench, block, unit),
        safe=not block.changes,
        timeout=limit + GRACE_SECONDS,
    )
    output = result.stdout + result.stderr
    if result.returncode in {SSH_FAILED, TIMED_OUT}:
        why = f"contact was lost: {result.last_line()}; {_left(bench, host, unit)}"
        return Attempt(host, Ending.UNVERIFIABLE, result.returncode, output, met=False, why=why)
    if not result.ok and result.seconds >= limit:
        why = f"no end within {block.attributes.timeout}; the host ended it"
        return Attempt(host, Ending.TIMED_OUT, result.returncode, output, met=False, why=why)
    return _judged(block.attributes.expect, host, result.returncode, output)


def command(bench: Bench, block: Block, unit: str) -> list[str]:
    """Return the words that run a shell block as a transient unit, labels as its environment."""
    given = variables.environment(bench.labels) | {variables.ENVIRONMENT: bench.environment}
    # Without expansion: systemd would replace what looks like a variable of the block, and make it empty.
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--expand-environment=no"]
    words.append(f"--unit={unit}")
    words += [f"--property=RuntimeMaxSec={seconds(block.attributes.timeout)}"]
    if block.attributes.host == "control":
        given |= CONTROL
        words += ["--property=User=perennial", f"--property=WorkingDirectory={CONTROL_RELEASE}"]
    words += [f"--setenv={name}={value}" for name, value in given.items()]
    return [*words, "bash", "-euo", "pipefail", "-c", block.text]


def _left(bench: Bench, host: str, unit: str) -> str:
    """Say what became of a unit after its connection was lost; one that still runs is ended."""
    seen = bench.runner.run(
        host, ["systemctl", "show", "--property=ActiveState", unit], safe=True, timeout=20
    )
    if not seen.ok:
        return "the host does not answer, it may still run there"
    if "inactive" in seen.stdout:
        return "it does not run there any more"
    stopped = bench.runner.run(host, ["systemctl", "stop", unit], timeout=60)
    return "it still ran there and was ended" if stopped.ok else "it still runs there and cannot be ended"


def _judged(expect: Expect, host: str, returncode: int, output: str) -> Attempt:
    why = _unmet(expect, returncode, output)
    return Attempt(host, Ending.ENDED, returncode, output, met=not why, why=why)


def _unmet(expect: Expect, returncode: int, output: str) -> str:
    if returncode != expect.exit:
        return f"exit {returncode}, wanted {expect.exit}"
    if expect.empty and output.strip():
        return "it answers something, wanted nothing"
    if expect.regex and not re.search(expect.regex, output, re.MULTILINE):
        return f"no {expect.regex!r} in its answer"
    if expect.not_regex and re.search(expect.not_regex, output, re.MULTILINE):
        return f"{expect.not_regex!r} in its answer"
    return ""


def unreachable(error: PerennialError, host: str) -> Attempt:
    """Return the attempt of a query that nobody answered."""
    return Attempt(host, Ending.ENDED, 1, "", met=False, why=str(error))
