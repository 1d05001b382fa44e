# SPDX-License-Identifier: Apache-2.0
"""Pulumi's own engine drives the provider (in this process, over the memory backend): no root, no hosts."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2_grpc

from infra.lab.core.memory import MemoryBackend
from infra.lab.provider.servicer import LabProvider
from infra.spec import CHECKOUT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
Pulumi = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def backend() -> MemoryBackend:
    """The machine that the stack is made on."""
    return MemoryBackend()


@pytest.fixture(scope="module")
def pulumi(backend: MemoryBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulumi]:
    """The CLI on a state of its own, with this process as its provider."""
    server = grpc.server(futures.ThreadPoolExecutor(16))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(
        LabProvider(lambda: backend, threading.Event()), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    directory = tmp_path_factory.mktemp("engine")
    (directory / "state").mkdir()
    (directory / "Pulumi.yaml").write_text((CHECKOUT / "infra/lab/Pulumi.yaml").read_text("utf-8"), "utf-8")
    for part in ("__main__.py", "provider"):
        (directory / part).symlink_to(CHECKOUT / "infra/lab" / part)
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": f"file://{directory / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "engine-test",
        "PULUMI_STACK": "lab",
        "PULUMI_DEBUG_PROVIDERS": f"lab:{port}",
    }

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(CHECKOUT / ".tools/bin/pulumi"), *arguments, "--non-interactive"]
        result = subprocess.run(
            command, cwd=directory, env=environment, text=True, capture_output=True, check=False
        )
        assert not check or result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
        return result

    run("stack", "init", "lab")
    run("up", "--yes", "--skip-preview")
    yield run
    run("destroy", "--yes", "--skip-preview")
    server.stop(0)
    assert not backend.hosts.existing
    assert not backend.volumes.existing
    assert not backend.images.existing
    assert not backend.networks.existing


def test_a_second_update_changes_nothing(pulumi: Pulumi) -> None:
    """Neither plan nor refresh may find a difference that nobody made."""
    pulumi("preview", "--expect-no-changes")
    pulumi("refresh", "--preview-only", "--expect-no-changes")


def test_a_vanished_host_is_drift_and_a_plain_update_heals_it(pulumi: Pulumi, backend: MemoryBackend) -> None:
    """Nobody should need to know that a refresh comes first."""
    secrets = pulumi("stack", "output", "--json", "--show-secrets").stdout
    del backend.hosts.existing["lab/app-1"]
    assert pulumi("refresh", "--preview-only", "--expect-no-changes", check=False).returncode != 0
    pulumi("up", "--yes", "--skip-preview")
    assert "lab/app-1" in backend.hosts.existing
    assert pulumi("stack", "output", "--json", "--show-secrets").stdout == secrets


def test_a_host_that_failed_to_serve_is_repaired_by_the_next_update(
    pulumi: Pulumi, backend: MemoryBackend
) -> None:
    """It stays in the state meanwhile, so destroy would remove it."""
    del backend.hosts.existing["lab/app-2"]
    backend.hosts.broken.add("lab/app-2")
    failed = pulumi("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    assert "lab/app-2 is broken" in failed.stdout + failed.stderr
    backend.hosts.broken.clear()
    pulumi("up", "--yes", "--skip-preview")
    pulumi("preview", "--expect-no-changes")


def test_no_secret_value_is_readable_in_state_or_output(pulumi: Pulumi) -> None:
    """The state lies on disk, outputs on screens."""
    shown = json.loads(pulumi("stack", "output", "--json", "--show-secrets").stdout)["secrets"]
    fields = [
        value
        for secret in shown.values()
        for name, value in secret.items()
        if name in ("value", "private_key", "key")
    ]
    assert len(fields) == len(shown)
    exported = pulumi("stack", "export").stdout + pulumi("stack", "output", "--json").stdout
    assert not [name for name in fields if name.strip().splitlines()[-1] in exported or name in exported]
