# SPDX-License-Identifier: Apache-2.0
"""Serves Pulumi's provider protocol; every act is the core's."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from pydantic import ValidationError

from infra.lab.core.backend import LabBackend
from infra.lab.core.errors import CancelledError, DeadlineError, LabError, UnhealthyError
from infra.lab.core.model import Model
from infra.lab.core.process import Budget
from infra.lab.provider import wire
from infra.lab.provider.kinds import KINDS, Kind
from infra.lab.provider.schema import VERSION, schema

log = logging.getLogger(__name__)
_DIFF_NONE = provider_pb2.DiffResponse.DIFF_NONE
_DIFF_SOME = provider_pb2.DiffResponse.DIFF_SOME
_UPDATE = provider_pb2.PropertyDiff.UPDATE
_UPDATE_REPLACE = provider_pb2.PropertyDiff.UPDATE_REPLACE


class LabProvider(provider_pb2_grpc.ResourceProviderServicer):
    """The provider ``lab``.

    Args:
        backend: makes the backend; called once, with the first act that needs it.
        cancelled: set when the engine cancels or has ended.
    """

    def __init__(self, backend: Callable[[], LabBackend], cancelled: threading.Event) -> None:
        self._make = backend
        self._made: LabBackend | None = None
        self._lock = threading.Lock()
        self._cancelled = cancelled

    # The method names are the protocol's.

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Name the provider's version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """Describe the resource types."""
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema()))

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Accept the configuration: there is none."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """No configuration, no difference."""
        return provider_pb2.DiffResponse(changes=_DIFF_NONE)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Say what the provider understands."""
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Nothing depends on the engine's address."""
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Let every running act end at its next step."""
        self._cancelled.set()
        return empty_pb2.Empty()

    def Check(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Validate the inputs and fill in defaults; a failure names its property."""
        kind = _kind(request.type, context)
        news = wire.read(request.news)
        response = provider_pb2.CheckResponse()
        try:
            news = kind.spec.model_validate(news).model_dump(mode="json", by_alias=True)
        except ValidationError as error:
            for problem in error.errors():
                prop = str(problem["loc"][0]) if problem["loc"] else ""
                if not (wire.has_unknown(news.get(prop)) or (not prop and wire.has_unknown(news))):
                    response.failures.add(property=prop, reason=problem["msg"].removeprefix("Value error, "))
        response.inputs.CopyFrom(wire.write(news, kind.secret))
        return response

    def Diff(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Compare inputs with inputs; what happens to run never makes a difference."""
        kind = _kind(request.type, context)
        olds, news = wire.read(request.old_inputs), wire.read(request.news)
        replaces = kind.replace | kind.fingerprint
        changed = {name for name in {*olds, *news} if olds.get(name) != news.get(name)}
        changed |= self._outdated(kind, wire.read(request.olds), news)
        response = provider_pb2.DiffResponse(
            changes=_DIFF_SOME if changed else _DIFF_NONE,
            diffs=sorted(changed),
            replaces=sorted(changed & replaces),
            hasDetailedDiff=True,
            deleteBeforeReplace=kind.delete_first and bool(changed & replaces),
        )
        for name in sorted(changed):
            detail = response.detailedDiff[name]
            detail.inputDiff = name not in kind.computed
            detail.kind = _UPDATE_REPLACE if name in replaces else _UPDATE
        return response

    def Create(
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        """Make the resource, or complete what is there."""
        kind = _kind(request.type, context)
        news = wire.read(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=self._foreseen(kind, news))
        with self._act(context, request.timeout or kind.seconds, kind, request.properties) as budget:
            state = kind.store(self._backend).create(kind.spec.model_validate(news), budget)
        return provider_pb2.CreateResponse(
            id=kind.identity(state), properties=_write(kind, state), refresh_before_update=kind.refresh
        )

    def Read(
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        """Look at the resource; an empty id means that it is gone."""
        kind = _kind(request.type, context)
        known = wire.read(request.properties)
        if not known:
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{request.type}: import is not offered; add it to the "
                "program, and `pulumi up` adopts what exists",
            )
        with self._act(context, request.timeout or kind.seconds, kind, request.inputs) as budget:
            state = kind.store(self._backend).read(_state(kind, known), budget)
        if state is None:
            return provider_pb2.ReadResponse()
        inputs = {
            name: value
            for name, value in state.model_dump(mode="json", by_alias=True).items()
            if name not in kind.computed
        }
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=_write(kind, state),
            inputs=wire.write(inputs, kind.secret),
            refresh_before_update=kind.refresh,
        )

    def Update(
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        """Change the resource in place."""
        kind = _kind(request.type, context)
        news = wire.read(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=self._foreseen(kind, news, wire.read(request.olds)))
        with self._act(context, request.timeout or kind.seconds, kind, request.news) as budget:
            old = _state(kind, wire.read(request.olds))
            state = kind.store(self._backend).update(old, kind.spec.model_validate(news), budget)
        return provider_pb2.UpdateResponse(properties=_write(kind, state), refresh_before_update=kind.refresh)

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Remove the resource; one that is gone is fine."""
        kind = _kind(request.type, context)
        with self._act(context, request.timeout or kind.seconds, kind, request.properties) as budget:
            kind.store(self._backend).delete(_state(kind, wire.read(request.properties)), budget)
        return empty_pb2.Empty()

    @property
    def _backend(self) -> LabBackend:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _outdated(self, kind: Kind, olds: wire.Properties, news: wire.Properties) -> set[str]:
        if not kind.fingerprint or wire.has_unknown(news):
            return set()
        foreseen = kind.store(self._backend).foresee(kind.spec.model_validate(news))
        now = foreseen.model_dump(mode="json", by_alias=True)
        return {name for name in kind.fingerprint if olds.get(name) != now[name]}

    def _foreseen(self, kind: Kind, news: wire.Properties, olds: wire.Properties | None = None) -> Any:
        known = None
        if not wire.has_unknown(news):
            known = kind.store(self._backend).foresee(kind.spec.model_validate(news))
        if known is not None:
            return _write(kind, known)
        kept = olds or {}
        return wire.write(
            {**news, **{name: kept.get(name, wire.UNKNOWN) for name in kind.computed}}, kind.secret
        )

    @contextmanager
    def _act(
        self, context: grpc.ServicerContext, seconds: float, kind: Kind, inputs: Any
    ) -> Iterator[Budget]:
        try:
            yield Budget(seconds, self._cancelled)
        except UnhealthyError as error:
            _abort_unhealthy(context, kind, inputs, error)
        except CancelledError as error:
            context.abort(grpc.StatusCode.CANCELLED, str(error))
        except DeadlineError as error:
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, str(error))
        except (LabError, ValidationError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except OSError as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"this machine refused: {error}")


def _kind(token: str, context: grpc.ServicerContext) -> Kind:
    if token not in KINDS:
        context.abort(
            grpc.StatusCode.NOT_FOUND, f"{token} is no type of this provider; it has {', '.join(KINDS)}"
        )
    return KINDS[token]


def _state(kind: Kind, properties: wire.Properties) -> Model:
    """The state as it was stored, also by a release whose outputs were fewer or more."""
    names = {field.alias or name for name, field in kind.state.model_fields.items()}
    return kind.state.model_validate({name: value for name, value in properties.items() if name in names})


def _write(kind: Kind, state: Model) -> Any:
    return wire.write(state.model_dump(mode="json", by_alias=True), kind.secret)


def _abort_unhealthy(
    context: grpc.ServicerContext, kind: Kind, inputs: Any, error: UnhealthyError
) -> NoReturn:
    """Tell the engine that the resource exists, is broken, and must be looked at before the next update."""
    detail = provider_pb2.ErrorResourceInitFailed(
        id=kind.identity(error.state),
        properties=_write(kind, error.state),
        reasons=error.reasons,
        inputs=inputs,
        refresh_before_update=True,
    )
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))
    raise AssertionError("abort raises")  # pragma: no cover - tells the type checker so
