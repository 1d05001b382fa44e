# SPDX-License-Identifier: GPL-3.0-or-later
"""The one reader of the fleet: bad documents are named, secrets stay apart, Ansible sees the description."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader, lookup_loader

from infra.inventory import FleetError, fleet, read_fleet
from infra.inventory.fleet import parse_document
from infra.inventory.variables import host_variables
from infra.spec import CHECKOUT, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLANTED = "planted-secret-value-7f3a"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"


def document(**changes: Any) -> dict[str, Any]:
    """Return the fleet document of the lab."""
    platform = load("lab")
    hosts = {
        name: {"address": host.address, "user": "ops", "port": 22, "host_key": f"{KEY}{name}"}
        for name, host in platform.hosts.items()
    }
    secrets = {
        name: {"kind": secret.kind, "ref": f"pulumi:{name}"} for name, secret in platform.secrets.items()
    }
    made = {"schema": "fleet/1", "environment": "lab", "substrate": "lab", "capabilities": [], "hosts": hosts}
    return made | {"secrets": secrets, "next": "make converge"} | changes


SECRETS = {
    "ssh-operator": {"private_key": "operator key\n", "public_key": KEY},
    "ssh-control": {"private_key": "control key\n", "public_key": KEY},
    "db-replication": {"value": PLANTED},
    "cache-agent": {"value": "token"},
}


@pytest.fixture(name="outputs", autouse=True)
def fixture_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Stand for the substrate's outputs, on a machine that is no control host."""
    outputs = {"fleet": document(), "secrets": SECRETS}
    monkeypatch.setattr(fleet, "stack_outputs", lambda _substrate, _environment: outputs)
    monkeypatch.setattr(fleet, "STATE_DIRECTORY", tmp_path / "state")
    monkeypatch.setattr(fleet, "CONTROL_DIRECTORY", tmp_path / "control")
    read_fleet.cache_clear()
    yield outputs
    read_fleet.cache_clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "fleet/2"}, "origin: schema: Input should be 'fleet/1'; next: make up"),
        (
            {"hosts": {"a": {"address": "x", "user": "ops", "port": 0, "host_key": "k"}}},
            "origin: hosts.a.port: ",
        ),
        (
            {"hosts": {"a": {"address": "x", "user": "ops", "port": 22}}},
            "origin: hosts.a.host_key: Field required",
        ),
        (
            {"secrets": {"s": {"kind": "password", "ref": "r", "value": "v"}}},
            "origin: secrets.s.value: Extra inputs",
        ),
        ({"unknown": 1}, "origin: unknown: Extra inputs are not permitted"),
    ],
)
def test_a_bad_document_is_named_with_its_key(change: dict[str, Any], message: str) -> None:
    """A substrate of somebody else must learn at once what is wrong; values of secrets are no part of it."""
    with pytest.raises(FleetError) as caught:
        parse_document(json.dumps(document(**change)), "origin")
    assert str(caught.value).startswith(message)


def test_a_document_that_is_not_json_is_an_error_of_the_fleet() -> None:
    """No traceback for a file cut short."""
    with pytest.raises(FleetError, match="origin"):
        parse_document('{"schema": "fleet/1"', "origin")


def test_hosts_not_provisioned_are_named_with_the_next_command(outputs: dict[str, Any]) -> None:
    """The description grew, the machines did not yet."""
    del outputs["fleet"]["hosts"]["app-2"]
    with pytest.raises(FleetError, match="not provisioned in lab: app-2; next: make up ENV=lab"):
        read_fleet("lab")


def test_an_environment_without_machines_says_so(outputs: dict[str, Any]) -> None:
    """The first thing a newcomer meets."""
    outputs.clear()
    with pytest.raises(FleetError, match="lab has no machines yet; next: make up ENV=lab"):
        read_fleet("lab")


def test_the_operators_key_is_private_from_its_first_moment() -> None:
    """OpenSSH refuses others, and so should we."""
    found = read_fleet("lab")
    assert found.key_file.read_text() == "operator key\n"
    assert stat.S_IMODE(found.key_file.stat().st_mode) == 0o600


def test_host_keys_are_pinned_for_every_host() -> None:
    """Without a line a connection would fail; with a wrong one it must."""
    found = read_fleet("lab")
    assert len(found.known_hosts.read_text().splitlines()) == len(found.platform.hosts)
    assert f"10.87.0.21 {KEY}app-1\n" in found.known_hosts.read_text()


def test_secret_values_do_not_show() -> None:
    """A traceback or a debug print of the fleet must not leak."""
    found = read_fleet("lab")
    assert PLANTED not in repr(found)
    assert PLANTED not in str(found.document)
    assert found.secret("db-replication") == {"value": PLANTED}


def test_an_unknown_secret_names_the_next_command() -> None:
    """Asking for what is not there is an answer, not a KeyError."""
    with pytest.raises(FleetError, match="no value for secret 'x' here; next: perennial secret list"):
        read_fleet("lab").secret("x")


def test_a_control_host_reads_files_and_uses_its_own_key(tmp_path: Path) -> None:
    """It has no Pulumi state, and not the operator's key."""
    folder = tmp_path / "control"
    folder.mkdir()
    (folder / "fleet.json").write_text(json.dumps(document()))
    (folder / "secrets.json").write_text(json.dumps(SECRETS))
    found = read_fleet("lab")
    assert found.key_file == folder / "ssh" / "id_ed25519"
    assert found.key_file.read_text() == "control key\n"


@pytest.mark.parametrize("content", [None, '{"ssh-control": planted-secret-value-7f3a'])
def test_a_control_host_without_its_secrets_says_what_mends_it(tmp_path: Path, content: str | None) -> None:
    """A deleted or half-written file is mended from outside; a traceback might quote it."""
    folder = tmp_path / "control"
    folder.mkdir()
    (folder / "fleet.json").write_text(json.dumps(document()))
    if content is not None:
        (folder / "secrets.json").write_text(content)
    with pytest.raises(FleetError, match=r"secrets\.json: cannot be read .*make converge") as failure:
        read_fleet("lab")
    assert PLANTED not in str(failure.value)


def test_a_control_host_serves_one_environment(tmp_path: Path) -> None:
    """A command for another environment must not act on this one."""
    folder = tmp_path / "control"
    folder.mkdir()
    (folder / "fleet.json").write_text(json.dumps(document()))
    (folder / "secrets.json").write_text("{}")
    with pytest.raises(FleetError, match="this control host serves 'lab', not 'test'"):
        read_fleet("test")


@pytest.fixture(name="ansible")
def fixture_ansible(monkeypatch: pytest.MonkeyPatch) -> InventoryManager:
    """Return Ansible's own view of the lab through the inventory plugin."""
    folder = CHECKOUT / "infra" / "inventory" / "ansible"
    inventory_loader.add_directory(str(folder / "inventory"))
    lookup_loader.add_directory(str(folder / "lookup"))
    monkeypatch.setattr("ansible.constants.INVENTORY_ENABLED", ["perennial"])
    return InventoryManager(loader=DataLoader(), sources=[str(CHECKOUT / "inventories" / "lab.yml")])


def test_ansible_sees_the_hosts_groups_and_variables_of_the_description(ansible: InventoryManager) -> None:
    """Two readers of one description must not differ in any host."""
    platform = load("lab")
    assert {host.name for host in ansible.get_hosts()} == set(platform.hosts)
    for host in ansible.get_hosts():
        described = platform.hosts[host.name]
        assert host.vars["perennial"] == host_variables(platform, described)
        assert host.vars["ansible_host"] == described.address
        groups = {group.name for group in host.groups} - {"all", "ungrouped"}
        assert groups == set(described.roles)


def test_no_secret_value_is_a_variable(ansible: InventoryManager) -> None:
    """Variables are printed by -vvv and by every debug task."""
    assert PLANTED not in json.dumps([dict(host.vars) for host in ansible.get_hosts()], default=str)


def test_the_lookup_gives_a_secret_only_to_hosts_that_may_read_it() -> None:
    """The rule in secrets.yml is enforced, not only written down."""
    platform = load("lab")
    folder = CHECKOUT / "infra" / "inventory" / "ansible" / "lookup"
    lookup_loader.add_directory(str(folder))
    lookup = lookup_loader.get("perennial_secret")
    variables = {name: {"perennial": host_variables(platform, host)} for name, host in platform.hosts.items()}
    assert lookup.run(["db-replication"], variables["db-1"]) == [PLANTED]
    with pytest.raises(Exception, match="secret 'db-replication' is not for host 'edge-1'"):
        lookup.run(["db-replication"], variables["edge-1"])


def test_a_wrong_passphrase_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi answers null to it with exit 0: without a word here, that ends in a traceback far away."""
    document = {
        "schema": "fleet/1", "environment": "lab", "substrate": "lab", "capabilities": [], "hosts": {},
        "secrets": {},
    }  # fmt: skip
    outputs = {"fleet": document, "secrets": None}
    monkeypatch.setattr("infra.inventory.fleet.stack_outputs", lambda *_: outputs)
    monkeypatch.setattr("infra.inventory.fleet.on_control_host", lambda: False)
    read_fleet.cache_clear()
    with pytest.raises(FleetError, match="passphrase") as raised:
        read_fleet("lab")
    assert getattr(raised.value, "exit_code", None) == 7
    read_fleet.cache_clear()
