# SPDX-License-Identifier: Apache-2.0
"""Housekeeping of the central log store: what goes, what stays, what is said."""

from __future__ import annotations

import subprocess
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.programs import program

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(name="store")
def fixture_store(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the program, with zstd replaced by a copy and owners left alone."""
    module = program("roles/logs/files/log_store.py")

    def zstd(command: list[str], **_: Any) -> None:
        if "-o" in command:
            Path(command[-1]).write_bytes(b"packed " + Path(command[-3]).read_bytes())

    monkeypatch.setattr(subprocess, "run", zstd)
    monkeypatch.setattr(module.shutil, "chown", lambda *_: None)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: Usage(100, 50, 50))
    return module


def day(folder: Path, host: str, age: int, suffix: str = ".log") -> Path:
    """Write one stored day of `host`, `age` days old."""
    date = (datetime.now(UTC) - timedelta(days=age)).date()
    path = folder / host / f"{date}{suffix}"
    path.parent.mkdir(exist_ok=True)
    path.write_text("a line\n")
    return path


def run(store: Any, folder: Path, *options: str) -> int:
    """Run the housekeeping over `folder`."""
    words = ["--folder", str(folder), "--metrics", str(folder / "metrics.prom"), *options]
    code: int = store.main(words)
    return code


def test_days_are_removed_after_their_retention_and_never_before(store: Any, tmp_path: Path) -> None:
    """The law asks for 200 days; the day of the limit itself is still kept."""
    kept, gone = day(tmp_path, "app-1", 200, ".log.zst"), day(tmp_path, "app-1", 201, ".log.zst")
    assert run(store, tmp_path) == 0
    assert (kept.exists(), gone.exists()) == (True, False)


def test_a_full_volume_costs_no_day(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, by metric and exit code, and a person decides."""
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: Usage(100, 95, 5))
    old = day(tmp_path, "app-1", 199, ".log.zst")
    assert run(store, tmp_path) == 9
    assert old.exists()
    assert "perennial_log_store_full 1" in (tmp_path / "metrics.prom").read_text()


def test_only_old_days_are_compressed_and_keep_their_time(store: Any, tmp_path: Path) -> None:
    """The day that is being written, and yesterday, whose last lines may still arrive, stay plain."""
    days = [day(tmp_path, "app-1", age) for age in (0, 1, 2, 3)]
    before = days[3].stat().st_mtime
    run(store, tmp_path)
    assert [path.exists() for path in days] == [True, True, True, False]
    packed = days[3].with_name(days[3].name + ".zst")
    assert packed.read_bytes().startswith(b"packed ")
    assert packed.stat().st_mtime == before


def test_the_metrics_name_every_host_and_the_oldest_day(store: Any, tmp_path: Path) -> None:
    """An alert on a silent host needs a time for each."""
    path = day(tmp_path, "app-1", 0)
    day(tmp_path, "app-2", 1)
    run(store, tmp_path)
    text = (tmp_path / "metrics.prom").read_text()
    assert f'perennial_log_last_received_timestamp_seconds{{host="app-1"}} {path.stat().st_mtime:.0f}' in text
    assert 'perennial_log_last_received_timestamp_seconds{host="app-2"}' in text
    start = (datetime.now(UTC) - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert f"perennial_log_oldest_timestamp_seconds {start.timestamp():.0f}" in text


def test_files_of_other_names_are_left_alone(store: Any, tmp_path: Path) -> None:
    """A person's copy, or a part of an interrupted compression, is not ours to remove."""
    path = tmp_path / "app-1" / "2020-01-01.log.copy"
    path.parent.mkdir()
    path.write_text("kept")
    run(store, tmp_path)
    assert path.exists()


def test_a_shorter_retention_is_refused(store: Any, tmp_path: Path) -> None:
    """With the usage code, before anything is removed."""
    old = day(tmp_path, "app-1", 300)
    with pytest.raises(SystemExit) as error:
        run(store, tmp_path, "--retention-days", "199")
    assert error.value.code == 64
    assert old.exists()
