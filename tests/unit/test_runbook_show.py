# SPDX-License-Identifier: Apache-2.0
"""A page as a person reads it: what fires fills it in, and each block says its name, class and hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from infra.cli import runbook_run
from infra.cli.runbook import app
from infra.fleet.exits import PerennialError
from infra.inventory.fleet import FleetError
from infra.runbook import labels, lint, page
from infra.runbook.monitoring import Live
from infra.runbook.readable import readable
from tests.unit.fleet_world import fleet, platform
from tests.unit.runbook_world import FIXTURES, LABELS, Queue

if TYPE_CHECKING:
    from infra.inventory import Fleet

DISK = page.read(FIXTURES / "DiskFull.md")
NGINX = lint.PAGES / "NginxDown.md"
EVIL = "/srv; rm -r $(x)"


def test_a_label_that_is_a_plain_word_stands_in_the_commands(tmp_path: Path) -> None:
    """What is read is what is typed; what a program reads from its environment is set first."""
    shown = readable(DISK, {"mount": "/srv", "instance": "app-1"}, platform(tmp_path))
    assert shown.splitlines()[:4] == ["# DiskFull", "", "```bash", "export mount=/srv"]
    assert 'df -h "/srv"' in shown
    assert 'rm -r "/srv/old"' in shown
    assert "$" not in shown
    assert '"class"' not in shown


def test_what_no_command_names_is_not_set(tmp_path: Path) -> None:
    """`service` is a label, and a word in many commands; a program reads `site` by its quoted name."""
    text = DISK.text.replace('df -h "$mount"', "cat nginx.service; python3 -c \"environ['site']\"")
    (tmp_path / "DiskFull.md").write_text(text)
    shown = readable(page.read(tmp_path / "DiskFull.md"), {"mount": "/", "service": "app", "site": "a"})
    assert "\nexport mount=/ site=a\n" in shown


def test_another_label_reaches_commands_as_environment_alone() -> None:
    """A label is somebody else's word: it must not become a command of its own."""
    shown = readable(DISK, {"mount": EVIL})
    assert f"export mount='{EVIL}'" in shown
    assert 'df -h "$mount"' in shown
    assert f'alertname="DiskFull", mountpoint="{EVIL}"' in shown


def test_a_block_says_its_name_its_class_and_its_hosts(tmp_path: Path) -> None:
    """With what decides about it; a label that names no host is shown as it is."""
    shown = readable(DISK, {"instance": "app-1"}, platform(tmp_path))
    assert "\n### look: observe, on `app-1`\n\n```bash\n" in shown
    destroy = "\n### clean: destroy, cannot be undone, on `app-1`\n\nOnly if `look` holds.\n\n```bash\n"
    assert destroy in shown
    assert "\n### gone: observe, in Prometheus\n\nHolds with no answer.\n\n```promql\n" in shown
    assert "### look: observe, on `app-77`" in readable(DISK, {"instance": "app-77"}, platform(tmp_path))
    queue = readable(page.read(FIXTURES / "QueueStuck.md"), {})
    assert "### start: change, only to undo, on `$instance`" in queue
    assert "Only if `look` holds. Not if `healthy` holds.\n" in queue
    edge = readable(page.read(lint.PAGES / "HAProxyServerDown.md"), {}, platform(tmp_path))
    assert "### checks: observe, on `edge-1`, `edge-2`" in edge
    assert "### converge: change, on the control host (`cd /opt/perennial/current`)" in edge


def test_what_is_not_known_is_named_with_how_to_fill_it() -> None:
    """One line, with the variables that are labels; the block's own are not among them."""
    line = "> `$instance`, `$mount`: labels of the alert, not known here. "
    how = "Fill them in: `--label instance=… --label mount=…`"
    assert f"\n\n{line}{how}\n\n" in readable(DISK, {})
    assert "not known here" not in readable(DISK, {"instance": "app-1", "mount": "/"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('echo "$site" ${site} "a-$site-$other"', 'echo "community" community "a-community-$other"'),
        ('test "$(stat "$site" | tr -d x)" -lt 9', 'test "$(stat "community" | tr -d x)" -lt 9'),
        ("php -r 'echo $site;'", "php -r 'echo $site;'"),
        ("cat <<'END'\n$site\nEND\necho $site", "cat <<'END'\n$site\nEND\necho community"),
        (r"echo \$site $sites ${site:+x}", r"echo \$site $sites ${site:+x}"),
        ('for site in a b; do echo "$site"; done', 'for site in a b; do echo "$site"; done'),
        ('site=a; echo "$site"', 'site=a; echo "$site"'),
        ('while read -r pid site; do echo "$site"; done', 'while read -r pid site; do echo "$site"; done'),
    ],
)
def test_only_what_a_shell_would_expand_is_filled(text: str, shown: str) -> None:
    """And only what comes from the alert: a block's own variable of that name is another thing."""
    assert labels.filled(text, {"site": "community"}) == shown


@pytest.mark.parametrize("value", ["$(reboot)", "a b", "a;b", "`x`", "--force", "a'b", 'a"b', "~root", ""])
def test_a_word_with_a_meaning_to_a_shell_is_not_filled(value: str) -> None:
    """Quoted in the first line of the page it means itself."""
    assert labels.filled('echo "$site"', {"site": value}) == 'echo "$site"'


@pytest.mark.parametrize("path", sorted(lint.PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_every_page_names_every_block(path: Path, tmp_path: Path) -> None:
    """With all its labels given, nothing is left to fill in."""
    read = page.read(path)
    wanted = {name for block in read.blocks for name in labels.wanted(block)}
    shown = readable(read, dict.fromkeys(wanted, "app-1"), platform(tmp_path))
    assert [
        block.attributes.name for block in read.blocks if f"\n### {block.attributes.name}: " not in shown
    ] == []
    assert "not known here" not in shown
    assert '{"name"' not in shown
    assert shown.count("```") % 2 == 0


def show(
    monkeypatch: pytest.MonkeyPatch, found: Fleet | Exception, queue: Queue, *words: str
) -> tuple[str, str]:
    """Return what `runbook show NginxDown` prints and what it notes beside."""

    def fleet_of(_environment: str) -> Fleet:
        """Return the fleet of the test."""
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(runbook_run, "fleet_of", fleet_of)
    monkeypatch.setattr(runbook_run, "LiveMonitoring", lambda _fleet: queue)
    result = CliRunner().invoke(app, ["show", "NginxDown", "--env", "unit", *words])
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_the_alert_that_fires_fills_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label that is given goes before the alert's."""
    shown, noted = show(monkeypatch, fleet(tmp_path), Queue())
    assert "### start: change, on `app-1`" in shown
    assert '--limit "app-1"' in shown
    assert '"inventories/unit.yml"' in shown
    assert "not known here" not in shown
    assert noted == ""


@pytest.mark.parametrize(
    ("fleet_is", "firing", "words", "note", "host"),
    [
        ("there", [], (), "NginxDown does not fire in unit", "$instance"),
        ("there", [], ("--label", "instance=app-2"), "does not fire", "app-2"),
        ("there", ["f1", "f2"], (), "2 of them fire, 2 of those fit", "$instance"),
        ("there", ["f1", "f2"], ("--fingerprint", "f2"), "", "app-1"),
        ("there", ["f1"], ("--without-alert",), "", "$instance"),
        ("silent", [], (), "Alertmanager does not answer", "$instance"),
        ("gone", [], ("--label", "instance=app-2"), "no platform", "app-2"),
    ],
)
def test_without_one_alert_the_page_is_read_all_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fleet_is: str,
    firing: list[str],
    words: tuple[str, ...],
    note: str,
    host: str,
) -> None:
    """Monitoring or the whole platform may be down: why nothing is filled in is said beside the page."""
    queue = Queue()
    queue.alerts = [Live(name, LABELS, "stuck", "now") for name in firing]
    if fleet_is == "silent":
        monkeypatch.setattr(queue, "firing", lambda _alert: (_ for _ in ()).throw(silent()))
    found = FleetError("no platform unit; next: make up") if fleet_is == "gone" else fleet(tmp_path)
    shown, noted = show(monkeypatch, found, queue, *words)
    assert note in noted
    assert bool(note) == bool(noted)
    assert f"### start: change, on `{host}`" in shown
    assert ("Fill them in: `--label instance=…`" in shown) == host.startswith("$")


def silent() -> PerennialError:
    """Return what monitoring that does not answer raises."""
    return PerennialError("Alertmanager does not answer: refused", where="mon-1")
