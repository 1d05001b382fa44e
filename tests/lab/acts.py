# SPDX-License-Identifier: Apache-2.0
"""What lab tests do to a platform: lose a machine, cut a path, publish and take back a post."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from infra.fleet.remote import SshRunner, must
from infra.lab.core.nspawn.cgroup import HostGroup
from infra.lab.core.nspawn.guest import kill
from infra.lab.core.process import Budget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.inventory import Fleet
    from loadtests.probe import Target


def lose(fleet: Fleet, host: str) -> None:
    """End every process of a host at once, as a power cut does."""
    kill(HostGroup(fleet.platform.name, host), Budget(30))


def vip_owner(fleet: Fleet, among: list[str]) -> str:
    """Return the one edge of `among` that holds the virtual address."""
    vip = str(fleet.platform.environment.vip.address)
    runner = SshRunner(fleet)
    answers = {name: runner.run(name, ["ip", "-oneline", "address"], safe=True) for name in among}
    owners = [name for name, answer in answers.items() if f" {vip}/" in must(answer, "addresses").stdout]
    assert len(owners) == 1, f"{vip} is held by {owners or 'nobody'}"
    return owners[0]


@contextmanager
def cut(fleet: Fleet, host: str, service: str) -> Iterator[None]:
    """Drop what `host` sends to a service of other hosts while the block runs; all other paths stay open."""
    runner = SshRunner(fleet, dry_run=False)
    definition = fleet.platform.services[service]
    peers = ", ".join(other.address for other in fleet.platform.with_role(definition.role))
    rules = f"""
table inet perennial_cut {{
  chain out {{
    type filter hook output priority -300
    ip daddr {{ {peers} }} tcp dport {definition.port} drop
  }}
}}
"""
    must(runner.run(host, ["nft", "-f", "-"], stdin=rules), "cutting")
    try:
        yield
    finally:
        must(runner.run(host, ["nft", "delete", "table", "inet", "perennial_cut"]), "healing")


@dataclass(frozen=True)
class Editor:
    """Somebody who publishes and takes back, by `wpctl` on an application host."""

    fleet: Fleet
    site: str
    host: str

    def wpctl(self, *words: str) -> str:
        """Run a wpctl command and return what it printed."""
        runner = SshRunner(self.fleet, dry_run=False)
        return must(runner.run(self.host, ["wpctl", f"--site={self.site}", *words]), shlex.join(words)).stdout

    def publish(self, title: str, content: str = "text") -> tuple[int, str]:
        """Publish a post; return its number and path."""
        words = ["post", "create", f"--post_title={title}", f"--post_content={content}"]
        words += ["--post_status=publish"]
        number = int(self.wpctl(*words, "--porcelain").strip())
        rows = json.loads(
            self.wpctl("post", "list", f"--post__in={number}", "--fields=ID,url", "--format=json")
        )
        return number, "/" + rows[0]["url"].split("/", 3)[3]

    def unpublish(self, number: int) -> None:
        """Take a post back into draft."""
        self.wpctl("post", "update", str(number), "--post_status=draft")

    def delete(self, number: int) -> None:
        """Remove a post for good."""
        self.wpctl("post", "delete", str(number), "--force")


def editor(fleet: Fleet) -> Editor:
    """Return an editor at the first application host."""
    return Editor(fleet, next(iter(fleet.platform.sites)), fleet.platform.with_role("app")[0].name)


class Visitor:
    """Somebody who reads from one edge directly, by its own address."""

    def __init__(self, site: Target, address: str) -> None:
        """Keep one connection to `address`."""
        self.site, self.address = site, address
        self.client = httpx.Client(verify=site.context(), timeout=20)

    def get(self, path: str) -> httpx.Response:
        """Read a path of the site from this edge."""
        return self.client.get(
            f"https://{self.address}{path}",
            headers={"Host": self.site.domain},
            extensions={"sni_hostname": self.site.domain},
        )

    def warm(self, path: str) -> None:
        """Read until the edge answers from its cache; repeated bans of the publication may get in between."""
        deadline = time.monotonic() + 15
        while self.get(path).headers["x-cache"] != "hit":
            assert time.monotonic() < deadline, f"{path} is never answered from the cache of {self.address}"
            time.sleep(0.1)

    def gone_after(self, path: str, most_seconds: float) -> float:
        """Return after how many seconds the path answers 404; raise AssertionError after `most_seconds`."""
        begin = time.monotonic()
        while time.monotonic() - begin < most_seconds:
            if self.get(path).status_code == httpx.codes.NOT_FOUND:
                return time.monotonic() - begin
            time.sleep(0.1)
        raise AssertionError(f"{path} is still served by {self.address} after {most_seconds} s")
