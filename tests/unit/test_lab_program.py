# SPDX-License-Identifier: Apache-2.0
"""The Pulumi program asks the lab for exactly what the description says."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pulumi
import pytest

from infra.inventory.document import secret_document
from infra.lab import outputs, program
from infra.spec import INVENTORIES, Platform, load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def platform() -> Platform:
    """The committed lab."""
    return load("lab")


def test_every_host_boots_an_image_with_all_packages_of_its_roles(platform: Platform) -> None:
    """A package missing here costs each converge the time to install it."""
    plans = {plan.name: plan for plan in program.images(platform)}
    for host in platform.hosts.values():
        name, carried = program.image_of(host, list(plans.values())), set()
        while name:
            carried |= set(plans[name].packages)
            name = plans[name].base
        assert carried == set(platform.packages(host.roles))


def test_bases_come_before_the_images_over_them(platform: Platform) -> None:
    """The program declares them in this order."""
    seen = {""}
    for plan in program.images(platform):
        assert plan.base in seen
        seen.add(plan.name)


def test_a_shared_volume_is_one_and_every_mount_exists(platform: Platform) -> None:
    """Two volumes for one name would split the uploads."""
    names = [volume.name for volume in program.volumes(platform)]
    assert len(names) == len(set(names))
    wanted = {mount["volume"] for host in platform.hosts.values() for mount in program.mounts(host)}
    assert wanted == set(names)


def test_the_fleet_document_lists_every_host_and_holds_no_value(platform: Platform) -> None:
    """It is printed after each update."""
    keys = {name: f"ssh-ed25519 {name}" for name in platform.hosts}
    document = json.loads(json.dumps(program.fleet(platform, keys)))
    assert document["schema"] == "fleet/1"
    assert document["hosts"].keys() == platform.hosts.keys()
    assert document["hosts"]["edge-1"] == {
        "address": "10.87.0.11",
        "user": "ops",
        "port": 22,
        "host_key": "ssh-ed25519 edge-1",
    }
    assert document["secrets"].keys() == platform.secrets.keys()
    assert all(set(entry) == {"kind", "ref"} for entry in document["secrets"].values())
    assert document["next"] == "make converge"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("password", {"kind", "value"}),
        ("token", {"kind", "value"}),
        ("ca", {"kind", "key", "certificate"}),
        ("ssh-key", {"kind", "private_key", "public_key"}),
    ],
)
def test_secrets_have_the_fields_that_the_inventory_reads(kind: str, fields: set[str]) -> None:
    """infra.inventory reads them by these names."""
    assert secret_document(kind, "private", "public").keys() == fields


def with_given(name: str, tmp_path: Path) -> Platform:
    """Return the lab with one secret whose value comes from outside."""
    copy = tmp_path / "inventories"
    shutil.copytree(INVENTORIES, copy)
    file = copy / "lab.yml"
    file.write_text(file.read_text("utf-8") + f"given_secrets: [{name}]\n", "utf-8")
    return load("lab", copy)


def test_a_given_secret_is_taken_from_the_configuration_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of a paging service cannot be generated; a generated one would ring nobody."""
    made: list[str] = []
    monkeypatch.setattr(outputs, "Secret", lambda _urn, name, **_: made.append(name))
    monkeypatch.setattr(pulumi.Config, "get_secret", lambda _self, name: f"value of {name}")
    platform = with_given("paging-key", tmp_path)
    given = outputs.make_secrets(platform)["paging-key"]
    assert isinstance(given, outputs.GivenSecret)
    assert str(given.confidential) == "value of paging-key"
    assert set(made) == set(platform.secrets) - {"paging-key"}


def test_a_given_secret_without_a_value_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any machine is made."""
    monkeypatch.setattr(outputs, "Secret", lambda _urn, name, **_: name)
    monkeypatch.setattr(pulumi.Config, "get_secret", lambda _self, _name: None)
    with pytest.raises(pulumi.RunError, match="PULUMI_STACK=lab pulumi config set --secret smtp-relay"):
        outputs.make_secrets(with_given("smtp-relay", tmp_path))
