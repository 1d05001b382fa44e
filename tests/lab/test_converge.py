# SPDX-License-Identifier: Apache-2.0
"""A converge says the truth: nothing to do changes nothing, one deleted file is mended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.fleet.journal import journal_directory
from infra.fleet.remote import SshRunner, must
from infra.make.provision import RECAP
from infra.spec import CHECKOUT
from tests.lab_session import ENVIRONMENT, make

if TYPE_CHECKING:
    from infra.inventory import Fleet

pytestmark = pytest.mark.lab


def playbook(*arguments: str) -> tuple[dict[str, int], str]:
    """Run site.yml as an engineer would; return changed tasks by host, and the output."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", f"inventories/{ENVIRONMENT}.yml"]
    result = subprocess.run(
        [*command, "site.yml", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    matches = [match for line in result.stdout.splitlines() if (match := RECAP.match(line))]
    return {match["host"]: int(match["changed"]) for match in matches}, result.stdout


@pytest.mark.timeout(900)
def test_a_second_converge_changes_nothing(fleet: Fleet) -> None:
    """Idempotence over the whole platform, with no stamp file to hide behind (tech.maintenance)."""
    changed, output = playbook()
    assert changed == dict.fromkeys(fleet.platform.hosts, 0), output[-6000:]


@pytest.mark.timeout(900)
def test_check_mode_reports_no_change_after_a_converge(fleet: Fleet) -> None:
    """What converge-check promises each night (tech.maintenance)."""
    changed, output = playbook("--check")
    assert changed == dict.fromkeys(fleet.platform.hosts, 0), output[-6000:]


@pytest.mark.timeout(900)
def test_one_deleted_file_is_mended_and_nothing_else(fleet: Fleet) -> None:
    """Positive control of the tests above; the journal names exactly the host that changed."""
    runner = SshRunner(fleet, dry_run=False)
    host = fleet.platform.with_role("monitoring")[0].name
    managed = "/etc/prometheus/prometheus.yml"
    before = must(runner.run(host, ["sha256sum", managed], safe=True), "reading").stdout
    must(runner.run(host, ["rm", managed]), "deleting")
    result = make("converge")
    assert result.returncode == 0, result.stdout[-6000:]
    assert must(runner.run(host, ["sha256sum", managed], safe=True), "reading").stdout == before
    lines = (journal_directory(ENVIRONMENT) / "journal.jsonl").read_text("utf-8").splitlines()
    last = json.loads(lines[-1])
    assert (last["event"], last["changed"]) == ("END", [host]), last
