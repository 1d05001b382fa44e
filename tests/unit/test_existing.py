# SPDX-License-Identifier: Apache-2.0
"""Hosts that exist already are looked at before any change, and reached by the account that may."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from infra.existing import contact, program
from infra.fleet.exits import PerennialError
from infra.fleet.remote import Result
from infra.inventory import Fleet, FleetError, fleet, read_fleet
from infra.inventory.fleet import parse_document
from infra.inventory.variables import host_variables
from infra.make.plan import down_plan, up_plan
from infra.spec import INVENTORIES, Platform, derive, load

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLIC = "ssh-ed25519 AAAAC3Noperator"
SECRETS = {
    "ssh-operator": {"private_key": "operator key\n", "public_key": PUBLIC},
    "ssh-control": {"private_key": "control key\n", "public_key": PUBLIC},
}
CLIENT = "198.51.100.7"
ROLES = {"host-a": ["edge"], "host-b": ["app", "monitoring", "logs", "control"], "host-c": ["database"]}


def described(folder: Path, *, direct: bool = False, **changes: Any) -> Path:
    """Return inventories in `folder` with an environment `mine` of three hosts made by hand."""
    data: dict[str, Any] = YAML(typ="safe").load((INVENTORIES / "lab.yml").read_text("utf-8"))
    data |= {"environment": "mine", "substrate": "existing", "disposable": False}
    data["network"]["operators"] = [CLIENT]
    if direct:
        data["egress"] = "direct"
        del data["network"]["package_cache"]
    data["hosts"] = {
        name: {
            "address": f"192.0.2.{number}", "size": "large", "roles": roles, "ssh_user": "admin",
            "host_key": "ssh-ed25519 " + str(number) * 68,
        }
        for number, (name, roles) in enumerate(ROLES.items(), start=1)
    }  # fmt: skip
    inventories = folder / "inventories"
    inventories.mkdir()
    (inventories / "platform").symlink_to(INVENTORIES / "platform")
    with (inventories / "mine.yml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(data | changes, file)
    return inventories


@pytest.fixture(name="platform")
def fixture_platform(tmp_path: Path) -> Platform:
    """Return three described hosts."""
    return load("mine", described(tmp_path))


@dataclass
class Answering:
    """A runner whose hosts give the answers they are given; it refuses to change anything."""

    answers: dict[str, Result]
    dry_run: bool = True
    asked: list[str] = field(default_factory=list)

    def run(
        self,
        host: str,
        command: Sequence[str],
        *,
        safe: bool = False,
        stdin: str = "",
        timeout: float = 60,
        root: bool = True,
    ) -> Result:
        """Answer a look, as the account that logs in."""
        assert safe
        assert not root
        self.asked.append(host)
        return self.answers[host]


SOUND = f"system debian trixie\nclient {CLIENT}\ninit systemd\npython yes\nsudo yes\n"


def looked_at(platform: Platform, folder: Path, **answers: str | Result) -> None:
    """Look at the hosts, sound ones but for `answers` (host_a for host-a)."""
    said: dict[str, Result] = {}
    for name in platform.hosts:
        given = answers.get(name.replace("-", "_"), SOUND)
        said[name] = given if isinstance(given, Result) else Result(name, 0, given)
    document = parse_document(json.dumps(program.fleet(platform)), "test")
    contact.require(Fleet(platform, document, folder / "key", folder / "known", SECRETS), Answering(said))


def test_the_document_pins_the_keys_of_the_description_and_promises_no_replacement(
    platform: Platform,
) -> None:
    """Nobody makes another machine here, and the first connection must not trust whoever answers."""
    document = parse_document(json.dumps(program.fleet(platform)), "test")
    assert document.substrate == "existing"
    assert "replace-host" not in document.capabilities
    assert document.next == "make converge ENV=mine"
    host = document.hosts["host-a"]
    assert (host.address, host.user, host.host_key) == ("192.0.2.1", "admin", "ssh-ed25519 " + "1" * 68)


def test_the_generated_key_comes_with_the_command_that_lets_it_in(platform: Platform) -> None:
    """A newcomer pastes lines; the key of a person who has one needs none."""
    told = program.authorize(platform, PUBLIC + "\n")
    assert told["key"] == PUBLIC
    assert len(told["commands"]) == len(ROLES)
    assert told["commands"][0].startswith('ssh admin@192.0.2.1 "')
    assert PUBLIC in told["commands"][0]


def test_a_person_with_a_key_of_their_own_is_asked_for_nothing(tmp_path: Path) -> None:
    """Their key is on the hosts already."""
    platform = load("mine", described(tmp_path, ssh_key_file="~/.ssh/id_ed25519"))
    assert program.authorize(platform, PUBLIC)["commands"] == []


def test_sound_hosts_are_looked_at_and_let_be(platform: Platform, tmp_path: Path) -> None:
    """The positive control of the refusals below."""
    looked_at(platform, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("debian trixie", "debian bookworm"), "host-b: runs debian bookworm, needs debian trixie"),
        (("init systemd", "init tini"), "host-b: its init is tini, needs systemd"),
        (("python yes\n", ""), "host-b: has no Python that knows apt: apt-get install python3 python3-apt"),
        (("sudo yes\n", ""), "host-b: admin cannot sudo without a password"),
        (
            (CLIENT, "203.0.113.9"),
            "host-b: sees this machine as 203.0.113.9, which its firewall would shut out",
        ),
    ],
)
def test_what_a_converge_would_break_on_is_named_before_it_begins(
    platform: Platform, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    """Half a platform, or a host whose door has closed, is worse than none."""
    with pytest.raises(PerennialError) as caught:
        looked_at(platform, tmp_path, host_b=SOUND.replace(*change))
    assert message in str(caught.value)
    assert "no host was changed; 1 in the way" in str(caught.value)
    assert caught.value.code == 4


def test_a_closed_door_comes_with_the_lines_that_open_it(platform: Platform, tmp_path: Path) -> None:
    """The most common first meeting: the generated key is not on the hosts yet."""
    shut = Result("host-a", 255, "", "admin@192.0.2.1: Permission denied (publickey).")
    with pytest.raises(PerennialError) as caught:
        looked_at(platform, tmp_path, host_a=shut)
    assert "host-a: no way in as admin@192.0.2.1: admin@192.0.2.1: Permission denied" in str(caught.value)
    assert "authorized_keys" in str(caught.value)
    assert "make up ENV=mine, after the ssh lines above" in str(caught.value)


def test_a_disabled_host_is_left_alone(tmp_path: Path) -> None:
    """It may be switched off."""
    inventories = described(tmp_path)
    file = inventories / "mine.yml"
    data = YAML(typ="safe").load(file.read_text("utf-8"))
    data["hosts"]["host-d"] = data["hosts"]["host-c"] | {
        "disabled": True, "address": "192.0.2.4", "host_key": "ssh-ed25519 " + "4" * 68,
    }  # fmt: skip
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(data, stream)
    platform = load("mine", inventories)
    looked_at(platform, tmp_path, host_d=Result("host-d", 255, "", "no route"))


def test_a_control_host_comes_in_by_the_account_that_knows_its_key(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account of the first day never gets the control host's key."""
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "fleet.json").write_text(json.dumps(program.fleet(platform)))
    (tmp_path / "control" / "secrets.json").write_text(json.dumps(SECRETS))
    monkeypatch.setattr(fleet, "CONTROL_DIRECTORY", tmp_path / "control")
    assert {host.user for host in found(platform, monkeypatch).document.hosts.values()} == {"ops"}


def found(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """Return the fleet as commands read it, without a Pulumi CLI."""
    outputs = {"fleet": program.fleet(platform), "secrets": SECRETS}
    monkeypatch.setattr(fleet, "load", lambda _: platform)
    monkeypatch.setattr(fleet, "stack_outputs", lambda _substrate, _environment: outputs)
    read_fleet.cache_clear()
    try:
        return read_fleet("mine")
    finally:
        read_fleet.cache_clear()


def test_the_operators_own_key_is_used_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private key of a person is not ours to copy."""
    own = tmp_path / "own"
    own.write_text("private")
    monkeypatch.setattr(fleet, "STATE_DIRECTORY", tmp_path / "state")
    platform = load("mine", described(tmp_path, ssh_key_file=str(own)))
    assert found(platform, monkeypatch).key_file == own
    own.unlink()
    with pytest.raises(FleetError, match=r"ssh_key_file: no file .*own; next: name your private key there"):
        found(platform, monkeypatch)


def test_the_operators_key_file_is_no_variable_of_a_host(tmp_path: Path) -> None:
    """Where a person keeps a key is nobody's business on a host."""
    platform = load("mine", described(tmp_path, ssh_key_file="~/.ssh/planted_name"))
    variables = json.dumps([host_variables(platform, host) for host in platform.hosts.values()])
    assert "planted_name" not in variables


def test_hosts_with_package_access_of_their_own_reach_names_archives_and_time(tmp_path: Path) -> None:
    """Port 443 alone, the first attempt, leaves apt without names and without Debian's archives."""
    platform = load("mine", described(tmp_path, direct=True))
    rules = {
        (rule.protocol, rule.port): rule.peers for rule in derive.outbound(platform, platform.hosts["host-c"])
    }
    for needed in [("tcp", 80), ("tcp", 443), ("udp", 53), ("tcp", 53), ("udp", 123)]:
        assert rules[needed] == ("any",)


def test_the_plan_says_what_becomes_of_the_machines(platform: Platform) -> None:
    """Whoever types make up for the first time must learn that the firewall is taken over, and by whom."""
    text = "\n".join(up_plan(platform))
    assert f"afterwards SSH answers to {CLIENT} and the control hosts only" in text
    assert "expected there already: /srv/uploads (uploads) on host-b" in text
    assert "bridge" not in text
    assert "stay as they are" in down_plan(platform)[0]


def test_uploads_of_several_hosts_must_be_one_file_system(tmp_path: Path) -> None:
    """A picture that is on one of two hosts is gone every second time."""
    inventories = described(tmp_path)
    file = inventories / "mine.yml"
    data = YAML(typ="safe").load(file.read_text("utf-8"))
    data["hosts"]["host-d"] = data["hosts"]["host-b"] | {
        "roles": ["app"], "address": "192.0.2.4", "host_key": "ssh-ed25519 " + "4" * 68,
    }  # fmt: skip
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(data, stream)
    text = "\n".join(up_plan(load("mine", inventories)))
    assert "/srv/uploads (uploads) on host-b, host-d, the same file system on all of them" in text
