# SPDX-License-Identifier: Apache-2.0
"""An interrupted run is mended before the next one, and a running one is never disturbed."""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import os
import socket
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.toolchain import passphrase, private_state, stack
from infra.toolchain.environment_lock import HeldLock, environment_lock
from infra.toolchain.errors import (
    ConfigurationError,
    IntegrityError,
    KeyMissingError,
    LockedError,
    ToolchainError,
)
from infra.toolchain.paths import Paths

HELD = HeldLock("lab", Path("lab.lock"))
PENDING = "urn:pulumi:lab::demo::lab:index:Host::app-1"

# Plays the CLI: `cancel` removes the lock, `stack import` forgets pending operations as Pulumi does.
CLI = """#!/usr/bin/env python3
import json, os, pathlib, sys
root = pathlib.Path(__file__).resolve().parents[2] / ".state" / "pulumi" / ".pulumi"
state = root / "stacks" / "demo" / (os.environ["PULUMI_STACK"] + ".json")
with (root / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:3]) + "\\n")
if sys.argv[1] == "cancel":
    for lock in root.glob("locks/organization/demo/*/*.json"):
        lock.unlink()
elif sys.argv[1:3] == ["stack", "export"]:
    pathlib.Path(sys.argv[4]).write_text(state.read_text())
else:
    content = json.loads(pathlib.Path(sys.argv[4]).read_text())
    content["checkpoint"]["latest"].pop("pending_operations", None)
    state.write_text(json.dumps(content))
"""


def make_salt(word: str) -> str:
    """Encrypt the check word as Pulumi does."""
    seed, nonce = b"12345678", b"123456789012"
    key = hashlib.pbkdf2_hmac("sha256", word.encode(), seed, 1_000_000, 32)
    sealed = AESGCM(key).encrypt(nonce, b"pulumi", None)
    inner = ":".join(base64.b64encode(part).decode() for part in (nonce, sealed))
    return f"v1:{base64.b64encode(seed).decode()}:v1:{inner}"


@pytest.fixture(scope="session")
def salt() -> str:
    """The check word under the passphrase `right`; slow on purpose, so made once."""
    return make_salt("right")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A checkout with a project, a backend and a stand-in for the CLI."""
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    paths = Paths(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: demo\nruntime: python\n")
    paths.wrapper.parent.mkdir(parents=True)
    paths.wrapper.write_text(CLI)
    paths.wrapper.chmod(0o755)
    (paths.backend / ".pulumi" / "stacks" / "demo").mkdir(parents=True)
    paths.passphrase.write_text("right")
    return paths


def write_state(paths: Paths, latest: dict[str, object]) -> Path:
    """Write a stack file."""
    file = paths.backend / ".pulumi" / "stacks" / "demo" / "lab.json"
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))
    return file


def write_lock(paths: Paths, process: int, host: str | None = None) -> Path:
    """Write one of Pulumi's lock files."""
    folder = paths.backend / ".pulumi" / "locks" / "organization" / "demo" / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "1.json"
    file.write_text(
        json.dumps({"pid": process, "username": "root", "hostname": host or socket.gethostname()})
    )
    return file


def test_nothing_to_mend_calls_nothing(checkout: Paths) -> None:
    """The usual case costs no run of the CLI."""
    write_state(checkout, {"resources": []})
    assert stack.recover_stack(HELD, checkout.root, checkout).lines() == []
    assert not (checkout.backend / ".pulumi" / "calls").exists()


def test_lock_of_a_killed_run_is_removed(checkout: Paths) -> None:
    """A killed CLI cannot remove its own lock; this process is alive and is no Pulumi CLI."""
    lock = write_lock(checkout, os.getpid())
    found = stack.recover_stack(HELD, checkout.root, checkout)
    assert found.stale_locks == 1
    assert not lock.exists()


def test_lock_cut_short_by_a_full_disk_is_removed(checkout: Paths) -> None:
    """Half a lock file names nobody."""
    write_lock(checkout, 1).write_text('{"pid": 1')
    assert stack.recover_stack(HELD, checkout.root, checkout).stale_locks == 1


def test_running_cli_is_left_alone(checkout: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's own `pulumi up` must not lose its lock."""
    lock = write_lock(checkout, 4242)
    monkeypatch.setattr(stack, "is_running_cli", lambda process: process == 4242)
    with pytest.raises(LockedError, match="process 4242") as caught:
        stack.recover_stack(HELD, checkout.root, checkout)
    assert caught.value.exit_code == 8
    assert lock.exists()


def test_lock_of_another_machine_counts_as_live(checkout: Paths) -> None:
    """A shared backend may be in use from elsewhere; that cannot be judged from here."""
    write_lock(checkout, os.getpid(), host="elsewhere")
    with pytest.raises(LockedError, match="elsewhere"):
        stack.recover_stack(HELD, checkout.root, checkout)


def test_pending_operations_are_forgotten(checkout: Paths) -> None:
    """The provider adopts what was begun, so the entries only stand in the way."""
    file = write_state(checkout, {"pending_operations": [{"resource": {"urn": PENDING}, "type": "creating"}]})
    found = stack.recover_stack(HELD, checkout.root, checkout)
    assert found.pending == [PENDING]
    assert "pending_operations" not in file.read_text()
    assert list(checkout.state.glob("tmp*")) == []


def test_damaged_state_is_replaced_by_its_backup(checkout: Paths) -> None:
    """A disk that filled up may leave half a file; Pulumi keeps the one before."""
    file = write_state(checkout, {"resources": []})
    whole = file.read_text()
    file.with_name("lab.json.bak").write_text(whole)
    file.write_text(whole[:20])
    found = stack.recover_stack(HELD, checkout.root, checkout)
    assert found.restored_from_backup
    assert file.read_text() == whole
    assert file.with_name("lab.json.damaged").read_text() == whole[:20]


def test_damage_without_backup_is_told(checkout: Paths) -> None:
    """Inventing a state would orphan every resource."""
    write_state(checkout, {}).write_text("{")
    with pytest.raises(IntegrityError, match="backups") as caught:
        stack.recover_stack(HELD, checkout.root, checkout)
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("word", ["wrong", None])
def test_wrong_or_missing_passphrase_is_told_before_the_run(
    checkout: Paths, salt: str, word: str | None
) -> None:
    """Pulumi would fail later and not say which file to mend."""
    write_state(checkout, {"secrets_providers": {"type": "passphrase", "state": {"salt": salt}}})
    if word is None:
        checkout.passphrase.unlink()
    else:
        checkout.passphrase.write_text(word)
    with pytest.raises(KeyMissingError, match="passphrase") as caught:
        stack.recover_stack(HELD, checkout.root, checkout)
    assert caught.value.exit_code == 7


def test_right_passphrase_passes(checkout: Paths, salt: str) -> None:
    """The check must not refuse what Pulumi accepts; a line end in the file does not count."""
    write_state(checkout, {"secrets_providers": {"type": "passphrase", "state": {"salt": salt}}})
    checkout.passphrase.write_text("right\n")
    assert stack.recover_stack(HELD, checkout.root, checkout).lines() == []


@pytest.mark.parametrize("bad", ["", "v2:a:v1:b:c", "v1:!:v1:b:c"])
def test_damaged_salt_is_an_integrity_error(bad: str) -> None:
    """Neither a traceback nor `wrong passphrase`."""
    with pytest.raises(IntegrityError):
        passphrase.fits("right", bad)


def test_failing_cli_speaks_with_its_own_words(checkout: Paths) -> None:
    """What Pulumi said is what helps."""
    checkout.wrapper.write_text("#!/bin/sh\necho 'error: no such stack' >&2\nexit 255\n")
    write_lock(checkout, os.getpid())
    with pytest.raises(ToolchainError, match="no such stack"):
        stack.recover_stack(HELD, checkout.root, checkout)


def test_project_without_a_name_is_a_configuration_error(tmp_path: Path) -> None:
    """A wrong folder must not look like a fresh stack."""
    with pytest.raises(ConfigurationError, match=r"Pulumi\.yaml"):
        stack.recover_stack(HELD, tmp_path, Paths(tmp_path))


def _hold(root: Path, ready: object, done: object) -> None:
    with environment_lock("lab", "make up", Paths(root)):
        ready.set()  # type: ignore[attr-defined]  # an Event of a spawn context has no importable type
        done.wait(20)  # type: ignore[attr-defined]


def test_second_run_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    """Two `make up` at once would tear at the same hosts; after the first the second may."""
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, done))
    holder.start()
    try:
        assert ready.wait(20)
        with (
            pytest.raises(LockedError, match=rf"make up \(process {holder.pid}"),
            environment_lock("lab", "x", Paths(tmp_path)),
        ):
            pass
        with environment_lock("test", "another environment is free", Paths(tmp_path)):
            pass
    finally:
        done.set()
        holder.join(20)
    with environment_lock("lab", "x", Paths(tmp_path)):
        pass


def test_killed_holder_frees_the_environment(tmp_path: Path) -> None:
    """The lock must never be stale."""
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, done))
    holder.start()
    assert ready.wait(20)
    holder.kill()
    holder.join(20)
    with environment_lock("lab", "x", Paths(tmp_path)) as held:
        assert held.environment == "lab"


def test_passphrase_is_made_once_and_private(tmp_path: Path) -> None:
    """A second set-up must not lock out the first one's state."""
    paths, told = Paths(tmp_path), list[str]()
    private_state.ensure(paths, told.append)
    first = paths.passphrase.read_text()
    private_state.ensure(paths, told.append)
    assert paths.passphrase.read_text() == first
    assert len(first) >= 32
    assert first not in "".join(told)
    assert stat.S_IMODE(paths.passphrase.stat().st_mode) == 0o600
    assert stat.S_IMODE(paths.state.stat().st_mode) == 0o700


def test_open_passphrase_is_closed_again(tmp_path: Path) -> None:
    """A copy made by hand may have lost its mode."""
    paths, told = Paths(tmp_path), list[str]()
    private_state.ensure(paths, told.append)
    paths.passphrase.chmod(0o644)
    private_state.ensure(paths, told.append)
    assert stat.S_IMODE(paths.passphrase.stat().st_mode) == 0o600
    assert "0600" in told[-1]


def test_lost_passphrase_is_not_replaced_while_a_state_needs_it(checkout: Paths) -> None:
    """Another passphrase would turn every secret into noise without a word."""
    write_state(checkout, {})
    checkout.passphrase.unlink()
    with pytest.raises(KeyMissingError, match="demo/lab"):
        private_state.ensure(checkout, print)
    assert not checkout.passphrase.exists()
