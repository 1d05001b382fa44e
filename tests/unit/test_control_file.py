# SPDX-License-Identifier: Apache-2.0
"""What a control host is told: all it works with, and nobody else's key."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.programs import program
from tests.unit.fleet_world import fleet

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = {
    "ssh-operator": {"kind": "ssh-key", "private_key": "operators own", "public_key": "ssh-ed25519 operator"},
    "ssh-control": {"kind": "ssh-key", "private_key": "control's own", "public_key": "ssh-ed25519 control"},
    "cache-agent": {"kind": "password", "value": "token"},
}


@pytest.fixture(name="lookup")
def fixture_lookup() -> Any:
    """Return the plug-in of the role as a module."""
    return program("roles/control/lookup_plugins/control_file.py")


def test_the_operators_private_key_stays_outside_and_the_public_one_is_known(
    lookup: Any, tmp_path: Path
) -> None:
    """With the private key a control host could not be shut out; without the public one it would shut out."""
    text = lookup.secret_values(replace(fleet(tmp_path), secret_values=SECRETS))
    assert "operators own" not in text
    known = json.loads(text)
    assert known["ssh-operator"] == {"kind": "ssh-key", "public_key": "ssh-ed25519 operator"}
    assert {name: known[name] for name in ("ssh-control", "cache-agent")} == {
        name: SECRETS[name] for name in ("ssh-control", "cache-agent")
    }


def test_a_control_host_gives_out_what_it_was_given(lookup: Any, tmp_path: Path) -> None:
    """Its daily check renders the same files from its own copies; a difference would be drift for ever."""
    first = lookup.secret_values(replace(fleet(tmp_path), secret_values=SECRETS))
    assert lookup.secret_values(replace(fleet(tmp_path), secret_values=json.loads(first))) == first


def test_control_hosts_come_in_by_their_own_account(lookup: Any, tmp_path: Path) -> None:
    """Hosts that exist already may let operators in by another one; the check sees this one."""
    made = fleet(tmp_path)
    hosts = {name: host.model_copy(update={"user": "admin"}) for name, host in made.document.hosts.items()}
    changed = replace(made, document=made.document.model_copy(update={"hosts": hosts}))
    assert lookup.fleet_document(changed) == lookup.fleet_document(made)
    assert '"admin"' not in lookup.fleet_document(changed)
