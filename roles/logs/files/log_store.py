#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Housekeeping of the central log store: compress old days, remove days past their retention, write metrics.

The store is `<folder>/<host>/<YYYY-MM-DD>.log`, one file a host and UTC day, `.log.zst` once compressed.
A day that is younger than the retention is never removed, however full the volume is: the metric says so,
and a person decides.

Exit codes: 0 done, 1 failed, 9 less free space than asked for, 64 usage.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

DAY = re.compile(r"^(\d{4}-\d{2}-\d{2})\.log(\.zst)?$")
RETENTION_MIN_DAYS = 200
EXIT_NO_SPACE, EXIT_USAGE = 9, 64


@dataclass(frozen=True)
class Stored:
    """One stored day of one host."""

    path: Path
    host: str
    day: date
    compressed: bool


def stored(folder: Path) -> list[Stored]:
    """Return every stored day under `folder`, oldest first; files of other names are left alone."""
    found = []
    for path in folder.glob("*/*"):
        match = DAY.match(path.name)
        if match and path.is_file() and not path.is_symlink():
            found.append(Stored(path, path.parent.name, date.fromisoformat(match[1]), match[2] is not None))
    return sorted(found, key=lambda each: (each.day, each.host))


def remove_expired(days: list[Stored], today: date, retention_days: int) -> list[Stored]:
    """Remove days older than `retention_days` and return those that stay."""
    oldest = today - timedelta(days=retention_days)
    for each in days:
        if each.day < oldest:
            each.path.unlink()
    return [each for each in days if each.day >= oldest]


def compress(each: Stored) -> None:
    """Replace a day's file by its compressed form, tested before the plain one goes; its date stays."""
    target = each.path.with_name(each.path.name + ".zst")
    part = target.with_name(target.name + ".part")
    subprocess.run(["zstd", "-q", "-f", "-9", "-T1", str(each.path), "-o", str(part)], check=True)
    subprocess.run(["zstd", "-q", "-t", str(part)], check=True)
    shutil.copystat(each.path, part)
    shutil.chown(part, "root", "adm")
    part.replace(target)
    each.path.unlink()


def last_received(folder: Path) -> dict[str, float]:
    """Return host → time of the newest write (Unix seconds)."""
    newest: dict[str, float] = {}
    for each in stored(folder):
        newest[each.host] = max(newest.get(each.host, 0.0), each.path.stat().st_mtime)
    return newest


def metrics(folder: Path, free_percent_min: int, retention_days: int) -> tuple[str, bool]:
    """Return Prometheus' text, and whether there is space enough."""
    days = stored(folder)
    usage = shutil.disk_usage(folder)
    enough = usage.free * 100 >= usage.total * free_percent_min
    lines = [
        "# HELP perennial_log_last_received_timestamp_seconds When the store last wrote something of a host.",
        "# TYPE perennial_log_last_received_timestamp_seconds gauge",
    ]
    for host, when in sorted(last_received(folder).items()):
        lines.append(f'perennial_log_last_received_timestamp_seconds{{host="{host}"}} {when:.0f}')
    if days:
        start = datetime(days[0].day.year, days[0].day.month, days[0].day.day, tzinfo=UTC)
        lines += [
            "# HELP perennial_log_oldest_timestamp_seconds Start of the oldest day that is kept.",
            "# TYPE perennial_log_oldest_timestamp_seconds gauge",
            f"perennial_log_oldest_timestamp_seconds {start.timestamp():.0f}",
        ]
    for name, text, value in (
        ("retention_seconds", "How long logs are kept.", retention_days * 86400),
        ("store_bytes", "Size of all stored logs.", sum(each.path.stat().st_size for each in days)),
        ("store_free_bytes", "Free space of the volume.", usage.free),
        ("store_full", "1 when there is less free space than asked for.", int(not enough)),
    ):
        full = f"perennial_log_{name}"
        lines += [f"# HELP {full} {text}", f"# TYPE {full} gauge", f"{full} {value}"]
    return "\n".join(lines) + "\n", enough


def write(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old or the new file, never half of one."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.chmod(0o644)
    part.replace(path)


def arguments(words: list[str]) -> argparse.Namespace:
    """Return the parsed command line; a retention below the legal minimum is refused."""
    parser = argparse.ArgumentParser(description="housekeeping of the central log store")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--metrics", type=Path, required=True, help="file for node_exporter's textfile collector"
    )
    parser.add_argument("--retention-days", type=int, default=RETENTION_MIN_DAYS)
    parser.add_argument("--compress-after-days", type=int, default=2)
    parser.add_argument("--free-percent-min", type=int, default=10)
    options = parser.parse_args(words)
    if options.retention_days < RETENTION_MIN_DAYS:
        print(f"--retention-days {options.retention_days}: at least {RETENTION_MIN_DAYS}", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)
    return options


def main(words: list[str]) -> int:
    """Do the housekeeping once and return the exit code."""
    options = arguments(words)
    today = datetime.now(UTC).date()
    kept = remove_expired(stored(options.folder), today, options.retention_days)
    limit = today - timedelta(days=options.compress_after_days)
    # Metrics first: compressing a large day takes minutes.
    text, enough = metrics(options.folder, options.free_percent_min, options.retention_days)
    write(options.metrics, text)
    for each in kept:
        if not each.compressed and each.day < limit:
            compress(each)
    return 0 if enough else EXIT_NO_SPACE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
