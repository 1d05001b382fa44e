# SPDX-License-Identifier: Apache-2.0
"""Switchovers under writes, and failovers after the writer was masked and killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from infra.fleet.exits import Exit
from infra.fleet.remote import SshRunner, must
from infra.spec import CHECKOUT
from loadtests.bench.figures import BenchError, Measurement
from loadtests.bench.statistics import nearest_rank
from loadtests.write_load import Commenting, Inserting, commenting, inserting
from loadtests.writes import longest_gap

if TYPE_CHECKING:
    from loadtests.bench.run import Run

SETTLE_SECONDS = 2.0
REFUSALS_MOST = 20
REFUSED_SECONDS = 5.0
SCRAPED_SECONDS = 12.0  # Prometheus has seen the writer wait for its replica
PERENNIAL = "import sys; from infra.cli.main import main; sys.exit(main())"
KILL = "systemctl mask mariadb.service && systemctl kill --signal=KILL mariadb.service"
RETURN = "systemctl unmask mariadb.service && systemctl start mariadb.service"


def fleet_command(run: Run, *words: str) -> tuple[int, dict[str, Any], str]:
    """Run `perennial fleet …`; return exit code, what it printed as JSON, and its last words."""
    command = [sys.executable, "-c", PERENNIAL, "fleet", *words, "--env", run.lab, "--yes", "--json"]
    ended = subprocess.run(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    said = (ended.stderr.strip().splitlines() or [""])[-1]
    return ended.returncode, json.loads(ended.stdout) if ended.returncode == 0 else {}, said


def must_do(run: Run, *words: str) -> dict[str, Any]:
    """Run a command that has to succeed; raise BenchError with its last words."""
    code, found, said = fleet_command(run, *words)
    if code != Exit.DONE:
        raise BenchError(f"perennial fleet {' '.join(words)} ended with {code}: {said}")
    return found


def measure_switchover(run: Run) -> list[Measurement]:
    """Switch over again and again under inserts and comments; refused tries are counted and repeated."""
    run.say(f"{run.counts.switchovers} switchovers under 50 inserts/s and 2 comments/s")
    gaps: list[float] = []
    held: list[float] = []
    refused: list[str] = []
    with inserting(run.fleet) as inserts, commenting(run.fleet) as comments:
        while len(gaps) < run.counts.switchovers:
            begin = inserts.writer.now()
            code, found, said = fleet_command(run, "switchover")
            time.sleep(SETTLE_SECONDS)
            if code == Exit.DONE:
                gaps.append(round(longest_gap(inserts.writer.ledger, begin, inserts.writer.now()), 3))
                held.append(found["held"])
            elif code == Exit.REFUSED and len(refused) < REFUSALS_MOST:
                refused.append(said)
                time.sleep(REFUSED_SECONDS)
            else:
                raise BenchError(f"perennial fleet switchover ended with {code}: {said}")
        return _switchover_figures(inserts, comments, gaps, {"held": held, "refused": refused})


def _switchover_figures(
    inserts: Inserting, comments: Commenting, gaps: list[float], data: dict[str, Any]
) -> list[Measurement]:
    inserts.writer.stop()
    comments.writer.stop()
    ledgers = (inserts.writer.ledger, comments.writer.ledger)
    audits = (inserts.audit(), comments.audit(inserts))
    failed = sum(len(ledger.failed) for ledger in ledgers)
    bad = sum(len(audit.lost) + len(audit.doubled) for audit in audits)
    sent = [len(ledger.attempts) for ledger in ledgers]
    about = (
        f"{len(gaps)} switchovers, {sent[0]} inserts over TLS connections of their own, {sent[1]} comments; "
    )
    about += f"{len(data['refused'])} tries refused by a guard and repeated"
    median, most = nearest_rank(gaps, 0.5), max(gaps)
    data = data | {"gap_seconds": gaps, "errors": [a.error[:120] for one in ledgers for a in one.failed[:10]]}
    return [
        Measurement(
            "switchover-gap-p50", 1000 * median, f"p50 {1000 * median:.0f} ms", notes=(about,), data=data
        ),
        Measurement("switchover-gap-max", most, f"max {most:.2f} s"),
        Measurement("switchover-failed", failed, f"{failed} of {sum(sent)}"),
        Measurement("switchover-lost", bad, f"{bad} of {sum(sent)}"),
    ]


def measure_failover(run: Run) -> list[Measurement]:
    """Mask and kill the writer under inserts; from the command's start to the next acknowledged insert."""
    run.say(f"{run.counts.failovers} failovers")
    times: list[float] = []
    lost: list[int] = []
    rebuilt = 0
    for _ in range(run.counts.failovers):
        time.sleep(SCRAPED_SECONDS)
        with inserting(run.fleet) as inserts:
            seconds, old = _fail(run, inserts)
            times.append(seconds)
            lost.append(len(inserts.audit().lost))
        rebuilt += _bring_back(run, old)
        must_do(run, "switchover", "--to", old)
    about = "from the start of the command until an insert was acknowledged again; "
    about += f"{rebuilt} of {len(times)} returned writers had an unacknowledged commit and were made anew"
    data = {"seconds": times, "lost": lost}
    worst = max(times)
    return [
        Measurement("failover", worst, f"max {worst:.1f} s of {len(times)}", notes=(about,), data=data),
        Measurement("failover-lost", sum(lost), f"{sum(lost)} in {len(lost)} failovers"),
    ]


def _fail(run: Run, inserts: Inserting) -> tuple[float, str]:
    """Return the seconds until writes were back, and the lost writer."""
    hosts = [host.name for host in run.fleet.platform.with_role("database", enabled_only=True)]
    runner = SshRunner(run.fleet, dry_run=False)
    ask = ["mariadb", "-NBe", "SELECT @@read_only"]
    old = next(name for name in hosts if must(runner.run(name, ask), "asking").stdout.strip() == "0")
    must(runner.run(old, ["bash", "-c", KILL]), "killing the writer")
    begin = inserts.writer.now()
    must_do(run, "failover")
    time.sleep(SETTLE_SECONDS)
    inserts.writer.stop()
    # An answer that was on its way when the server died does not count: the first one after a second does.
    after = [attempt.done for attempt in inserts.writer.ledger.acknowledged if attempt.done > begin + 1]
    if not after:
        raise BenchError("no insert was acknowledged after the failover")
    return round(min(after) - begin, 2), old


def _bring_back(run: Run, host: str) -> int:
    """Let the lost writer follow; return 1 where it had to be made anew."""
    must(SshRunner(run.fleet, dry_run=False).run(host, ["bash", "-c", RETURN]), "starting the server")
    code, _, said = fleet_command(run, "rejoin", host)
    if code == Exit.DONE:
        return 0
    if code != Exit.REFUSED or "never had" not in said:
        raise BenchError(f"perennial fleet rejoin {host} ended with {code}: {said}")
    must_do(run, "rebuild", host, "--confirm", f"{run.lab} {host}")
    return 1
