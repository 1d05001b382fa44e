# SPDX-License-Identifier: Apache-2.0
"""The provider speaks Pulumi's protocol as the engine expects it (memory backend, real gRPC)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc, status_pb2

from infra.lab.core.memory import MemoryBackend
from infra.lab.core.model import SecretSpec
from infra.lab.core.secrets import generate
from infra.lab.provider import wire
from infra.lab.provider.schema import schema
from infra.lab.provider.servicer import LabProvider

NETWORK, IMAGE, HOST = "lab:index:Network", "lab:index:Image", "lab:index:Host"
NET = {"lab": "dev", "subnet": "10.86.0.0/24", "gateway": "10.86.0.1"}
KEY = generate(SecretSpec(name="k", kind="ssh-key")).value


@pytest.fixture
def backend() -> MemoryBackend:
    """An empty machine."""
    return MemoryBackend()


@pytest.fixture
def provider(backend: MemoryBackend) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """A client of the provider."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(
        LabProvider(lambda: backend, threading.Event()), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(0)


def _check(provider: Any, kind: str, /, **news: Any) -> Any:
    return provider.Check(pb.CheckRequest(type=kind, news=wire.write(news, ())))


def _create(provider: Any, kind: str, /, **news: Any) -> Any:
    inputs = _check(provider, kind, **news).inputs
    return provider.Create(pb.CreateRequest(type=kind, properties=inputs)), inputs


def _host(backend: MemoryBackend, provider: Any) -> dict[str, Any]:
    image, _ = _create(provider, IMAGE, lab="dev", name="system")
    return {
        **NET,
        "name": "h1",
        "address": "10.86.0.11",
        "cacheUrl": "http://10.86.0.1:3143",
        "image": image.id,
        "memoryMib": 256,
        "cpus": 1,
        "authorizedKey": "ssh-ed25519 AAAA",
        "hostKeyPrivate": KEY,
    }


@pytest.mark.parametrize(
    ("kind", "news", "prop", "says"),
    [
        (NETWORK, {**NET, "subnet": "10.86.0.0/33"}, "subnet", "33"),
        (NETWORK, {**NET, "subnet": "8.8.8.0/24"}, "subnet", "private"),
        (NETWORK, {**NET, "gateway": "10.87.0.1"}, "", "outside subnet"),
        (NETWORK, {**NET, "lab": "a-very-long-name"}, "lab", "1 to 12 characters"),
        (NETWORK, {**NET, "surplus": 1}, "surplus", "not permitted"),
        (IMAGE, {"lab": "dev", "name": "x", "packages": ["rm -rf"]}, "packages", "pattern"),
        (
            "lab:index:Volume",
            {"lab": "dev", "name": "x", "sizeGib": 0},
            "sizeGib",
            "greater than or equal to 1",
        ),
        (
            "lab:index:Secret",
            {"name": "x", "kind": "rot13"},
            "kind",
            "'password', 'token', 'ssh-key' or 'ca'",
        ),
    ],
)
def test_bad_input_is_a_failure_at_its_property(
    provider: Any, kind: str, news: dict[str, Any], prop: str, says: str
) -> None:
    """The engine shows it beside the line that is wrong."""
    (failure,) = _check(provider, kind, **news).failures
    assert failure.property == prop
    assert says in failure.reason


def test_check_fills_defaults_and_tolerates_what_is_not_known_yet(provider: Any) -> None:
    """In a preview, outputs of resources that do not exist yet are sentinels."""
    known = _check(provider, NETWORK, **NET)
    assert wire.read(known.inputs)["cachePort"] == 3143
    assert not _check(provider, IMAGE, lab="dev", name="x", base=wire.UNKNOWN).failures


def test_no_change_is_said_to_be_none(provider: Any) -> None:
    """UNKNOWN would make the engine compare by itself."""
    made, inputs = _create(provider, NETWORK, **NET)
    diff = provider.Diff(pb.DiffRequest(type=NETWORK, old_inputs=inputs, olds=made.properties, news=inputs))
    assert diff.changes == pb.DiffResponse.DIFF_NONE


@pytest.mark.parametrize(
    ("prop", "value", "replaces"),
    [("memoryMib", 512, False), ("cpus", 2, False), ("address", "10.86.0.12", True)],
)
def test_a_host_changes_in_place_where_it_can(
    backend: MemoryBackend, provider: Any, prop: str, value: Any, replaces: bool
) -> None:
    """A replacement costs the host its files and goes first, because name and address are fixed."""
    wanted = _host(backend, provider)
    made, inputs = _create(provider, HOST, **wanted)
    news = _check(provider, HOST, **{**wanted, prop: value}).inputs
    diff = provider.Diff(pb.DiffRequest(type=HOST, old_inputs=inputs, olds=made.properties, news=news))
    assert list(diff.diffs) == [prop]
    assert bool(diff.replaces) == replaces == diff.deleteBeforeReplace


def test_another_recipe_replaces_an_image_of_the_same_inputs(provider: Any) -> None:
    """The hash belongs to the definition, and the recipe of this release is part of that."""
    made, inputs = _create(provider, IMAGE, lab="dev", name="system")
    old = wire.write({**wire.read(made.properties), "hash": "0" * 24}, ())
    diff = provider.Diff(pb.DiffRequest(type=IMAGE, old_inputs=inputs, olds=old, news=inputs))
    assert list(diff.replaces) == ["hash"]


def test_a_preview_tells_what_is_known_and_makes_nothing(backend: MemoryBackend, provider: Any) -> None:
    """A known hash keeps a preview from announcing false replacements."""
    request = pb.CreateRequest(
        type=IMAGE, preview=True, properties=wire.write({"lab": "dev", "name": "x"}, ())
    )
    assert len(wire.read(provider.Create(request).properties)["hash"]) == 24
    assert not backend.images.existing
    request = pb.CreateRequest(
        type="lab:index:Secret", preview=True, properties=wire.write({"name": "x", "kind": "token"}, ())
    )
    assert wire.read(provider.Create(request).properties)["value"] == wire.UNKNOWN


def test_confidential_properties_are_marked(backend: MemoryBackend, provider: Any) -> None:
    """The mark is what makes the engine encrypt them."""
    secret, _ = _create(provider, "lab:index:Secret", name="pw", kind="password")
    assert (
        secret.properties["value"]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    )
    wanted = _host(backend, provider)
    made, inputs = _create(provider, HOST, **wanted)
    read = provider.Read(pb.ReadRequest(type=HOST, id=made.id, properties=made.properties, inputs=inputs))
    for struct in (made.properties, inputs, read.properties, read.inputs):
        assert KEY in str(struct["hostKeyPrivate"]["value"])


def test_what_is_gone_reads_as_an_empty_id_and_deletes_well(backend: MemoryBackend, provider: Any) -> None:
    """So a refresh drops it, the next update makes it again, and a second destroy succeeds."""
    made, inputs = _create(provider, NETWORK, **NET)
    assert made.refresh_before_update
    backend.networks.existing.clear()
    request = pb.ReadRequest(type=NETWORK, id=made.id, properties=made.properties, inputs=inputs)
    assert provider.Read(request).id == ""
    provider.Delete(pb.DeleteRequest(type=NETWORK, id=made.id, properties=made.properties))


def test_a_host_that_does_not_serve_is_kept_and_looked_at_again(
    backend: MemoryBackend, provider: Any
) -> None:
    """Without this the engine would forget a machine that exists."""
    wanted = _host(backend, provider)
    backend.hosts.broken.add("dev/h1")
    with pytest.raises(grpc.RpcError) as caught:
        _create(provider, HOST, **wanted)
    metadata = {entry.key: entry.value for entry in caught.value.trailing_metadata()}
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    detail = pb.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == "dev/h1"
    assert list(detail.reasons) == ["dev/h1 is broken"]
    assert detail.refresh_before_update


def test_an_error_is_one_sentence_without_traceback(provider: Any) -> None:
    """It goes to a person."""
    _create(provider, NETWORK, **NET)
    with pytest.raises(grpc.RpcError) as caught:
        _create(provider, NETWORK, **{**NET, "lab": "other"})
    assert caught.value.details() == "network of lab other: subnet 10.86.0.0/24 is taken by lab dev"


def test_cancel_ends_what_follows(provider: Any) -> None:
    """The engine sends it at the first Ctrl-C."""
    provider.Cancel(empty_pb2.Empty())
    with pytest.raises(grpc.RpcError) as caught:
        _create(provider, NETWORK, **NET)
    assert caught.value.code() is grpc.StatusCode.CANCELLED


def test_an_unknown_type_names_those_that_exist(provider: Any) -> None:
    """A program of another release may ask for one."""
    with pytest.raises(grpc.RpcError) as caught:
        _check(provider, "lab:index:Cloud")
    assert "lab:index:Host" in str(caught.value.details())


def test_the_schema_marks_secrets_and_required_inputs() -> None:
    """Tools generate documentation and code from it."""
    resources = schema()["resources"]
    assert set(resources) == {
        f"lab:index:{kind}" for kind in ("Network", "Image", "Volume", "Host", "Secret")
    }
    assert resources[HOST]["inputProperties"]["hostKeyPrivate"] == {"type": "string", "secret": True}
    assert resources[NETWORK]["requiredInputs"] == ["gateway", "lab", "subnet"]
