# SPDX-License-Identifier: Apache-2.0
"""The synthetic journey on a real platform: what it leaves, what its account may do, what a failure shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from infra.fleet import pool
from infra.fleet.remote import SshRunner, must
from infra.spec import CHECKOUT
from tests.lab.acts import Visitor, vip_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet
    from loadtests.probe import Target

pytestmark = pytest.mark.lab
WRONG = "a-password-that-this-test-planted"
RIGHTS = ["delete_posts", "edit_posts", "perennial_private_only", "publish_posts", "read"]
# what WordPress knows of the account: asked in PHP, as none of its own pages tells all of it
LEFT = """
$_SERVER["HTTP_HOST"] = parse_url(WP_HOME, PHP_URL_HOST);
require "/usr/share/perennial/endpoints/tls.php";
require PERENNIAL_CORE . "wp-load.php";
$user = get_user_by("login", "journey");
$rights = array_keys(array_filter($user->allcaps));
sort($rights);
$count = fn($sql) => (int) $wpdb->get_var($wpdb->prepare($sql, $user->ID));
"""
ASK = """
echo json_encode([
  "posts" => $count("SELECT COUNT(*) FROM $wpdb->posts WHERE post_author = %d"),
  "comments" => $count("SELECT COUNT(*) FROM $wpdb->comments WHERE user_id = %d"),
  "sessions" => count(WP_Session_Tokens::get_instance($user->ID)->get_all()),
  "rights" => $rights,
  "session_seconds" => apply_filters("auth_cookie_expiration", 172800, $user->ID, false),
  "resets" => apply_filters("allow_password_reset", true, $user->ID),
  "bans" => (int) $wpdb->get_var("SELECT COALESCE(MAX(id), 0) FROM " . Perennial\\Table::name()),
]);
"""
PUBLISH = """
wp_set_current_user($user->ID);
$id = wp_insert_post(["post_title" => $argv[2], "post_name" => $argv[2], "post_status" => "publish"]);
echo json_encode([get_post_status($id), get_permalink($id)]);
"""


class Place:
    """Where the journey runs, and an application host that can be asked about its account."""

    def __init__(self, fleet: Fleet) -> None:
        """Take the hosts that the task and the converge take."""
        self.fleet, self.runner = fleet, SshRunner(fleet, dry_run=False)
        self.site = next(iter(fleet.platform.sites))
        self.unit = f"perennial-site-journey-{self.site}"
        self.control = fleet.platform.with_role("control", enabled_only=True)[0].name
        self.app = fleet.platform.with_role("app", enabled_only=True)[0].name

    def php(self, code: str, *words: str) -> Any:
        """Return what PHP answers in JSON, run as the account of the web requests."""
        config = f"/etc/wordpress/config-{self.fleet.platform.sites[self.site].domain}.php"
        command = ["runuser", "-u", "www-data", "--", "php", "-r", f"require $argv[1]; {LEFT} {code}", "--"]
        return json.loads(must(self.runner.run(self.app, [*command, config, *words]), "asking").stdout)

    def run(self) -> bool:
        """Let the task run as its timer does; return whether it passed."""
        return self.runner.run(self.control, ["systemctl", "start", f"{self.unit}.service"], timeout=130).ok

    def metrics(self) -> dict[str, float]:
        """Return the journey's samples as node_exporter reads them, by short name and step."""
        path = f"/var/lib/perennial/metrics/task_{self.unit}.prom"
        text = must(
            self.runner.run(self.control, ["runuser", "-u", "prometheus", "--", "cat", path]), "reading"
        ).stdout
        line = re.compile(
            r'^perennial_journey_(\w+)\{site="[^"]+"(?:,step="([^"]+)")?\} (\S+)$', re.MULTILINE
        )
        return {f"{name} {step}".strip(): float(value) for name, step, value in line.findall(text)}


@pytest.fixture(name="place", scope="module")
def fixture_place(fleet: Fleet) -> Place:
    """Return the place of the platform under test, after a run that found nothing wrong."""
    place = Place(fleet)
    assert place.run(), "the journey does not pass on a platform that is well"
    return place


def test_a_run_passes_and_leaves_nothing_behind(place: Place) -> None:
    """No post, comment or session, no ban that empties the cache of the front page, and no right too many."""
    before = place.php(ASK)
    begin = time.time()
    assert place.run()
    after = place.php(ASK)
    # sessions of failed runs may be there for ten minutes
    left = {name: after[name] - before[name] for name in ("sessions", "bans")}
    assert left | {"posts": after["posts"], "comments": after["comments"]} == dict.fromkeys(
        ("sessions", "bans", "posts", "comments"), 0
    )
    assert after["rights"] == sorted([*RIGHTS, "journey"])
    assert (after["session_seconds"], after["resets"]) == (600, False)
    found = place.metrics()
    assert found["success"] == 1
    assert found["last_run_timestamp_seconds"] > begin
    assert 0 < found["step_seconds log in"] < 10


def test_a_run_passes_with_a_host_of_each_tier_away(place: Place) -> None:
    """One application host is drained, and the edge that holds the address gives it away."""
    edges = [host.name for host in place.fleet.platform.with_role("edge", enabled_only=True)]
    owner = vip_owner(place.fleet, edges)
    pool.drain(place.fleet, place.app, dry_run=False)
    must(place.runner.run(owner, ["systemctl", "stop", "keepalived"]), "giving the address away")
    try:
        assert place.run()
        assert vip_owner(place.fleet, [edge for edge in edges if edge != owner]) != owner
    finally:
        must(place.runner.run(owner, ["systemctl", "start", "keepalived"]), "taking it back")
        pool.undrain(place.fleet, place.app, dry_run=False)


def test_nothing_that_the_account_publishes_is_seen_by_a_visitor(place: Place, site: Target) -> None:
    """Though it may publish, what it publishes is private; the next run removes it."""
    slug = f"seen-by-nobody-{time.time_ns()}"
    status, link = place.php(PUBLISH, slug)
    assert status == "private"
    for edge in place.fleet.platform.with_role("edge", enabled_only=True):
        visitor = Visitor(site, edge.address)
        assert visitor.get(httpx.URL(link).path).status_code == httpx.codes.NOT_FOUND
        for path in (
            "/",
            "/feed/",
            "/?s=nobody",
            "/wp-json/wp/v2/posts",
            "/wp-json/wp/v2/posts?status=private",
        ):
            assert slug not in visitor.get(path).text, path
    assert place.run()
    assert place.php(ASK)["posts"] == 0


@contextmanager
def password_changed(place: Place) -> Iterator[None]:
    """Give the account another password while the block runs; a converge puts it right."""
    command = ["wpctl", f"--site={place.site}", "user", "update", "journey", "--prompt=user_pass"]
    must(place.runner.run(place.app, command, stdin=f"{WRONG}\n"), "changing")
    try:
        yield
    finally:
        play = [str(Path(sys.executable).with_name("ansible-playbook")), "site.yml", "--tags", "app_site"]
        play += ["-i", f"inventories/{place.fleet.platform.name}.yml", "--limit", place.app]
        done = subprocess.run(play, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout[-3000:]


def test_a_changed_password_is_named_and_put_right_and_never_shown(place: Place) -> None:
    """Metric and report name the step; neither they nor the journal hold what was sent."""
    with password_changed(place):
        assert not place.run()
        found = place.metrics()
        assert (found["success"], found["step_failed log in"], found["step_failed post"]) == (0, 1, 0)
        folder = "/var/lib/perennial/reports/site-journey"
        said = must(place.runner.run(place.control, ["sh", "-c", f"cat {folder}/*.md"]), "reading").stdout
        journal = ["journalctl", "--no-pager", "--since=-5min", "--output=cat"]
        said += must(place.runner.run(place.control, journal), "reading").stdout
    assert "log in: FAILED: POST /wp-login.php was answered 200" in said
    assert place.fleet.secret(f"journey-{place.site}")["value"] not in said
    assert WRONG not in said
    assert place.run()
    assert place.metrics()["success"] == 1
