# SPDX-License-Identifier: Apache-2.0
"""The provider's process: started by the engine, ended with it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from concurrent import futures

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc

from infra.lab.core.backend import LabBackend
from infra.lab.core.nspawn.backend import NspawnBackend
from infra.lab.provider.servicer import LabProvider

_WORKERS = 32
_PARENT_CHECK_SECONDS = 0.5
_GRACE_SECONDS = 3.0
_MESSAGE_LIMIT = 400 * 1024 * 1024  # the engine's own


class EngineHandler(logging.Handler):
    """Sends log records to the engine, which shows them beside the resources."""

    def __init__(self, address: str) -> None:
        super().__init__(logging.INFO)
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record; information is transient, warnings stay on the screen."""
        warning = record.levelno >= logging.WARNING
        severity = engine_pb2.LogSeverity.Value("WARNING" if warning else "INFO")
        request = engine_pb2.LogRequest(
            severity=severity,
            message=record.getMessage(),
            ephemeral=not warning,
            urn=str(getattr(record, "urn", "")),
        )
        try:
            self._engine.Log(request, timeout=5)
        except grpc.RpcError:
            self.handleError(record)


def _backend() -> LabBackend:
    return NspawnBackend()


def serve(arguments: list[str]) -> int:
    """Serve until the engine ends; the first line on standard output is the port."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    if arguments and not arguments[-1].startswith("-"):
        logger = logging.getLogger("infra.lab")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(EngineHandler(arguments[-1]))
    cancelled, ended = threading.Event(), threading.Event()
    options = (
        ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
        ("grpc.max_send_message_length", _MESSAGE_LIMIT),
    )
    server = grpc.server(futures.ThreadPoolExecutor(_WORKERS), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(LabProvider(_backend, cancelled), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    print(port, flush=True)
    parent = os.getppid()
    while not ended.wait(_PARENT_CHECK_SECONDS):
        if os.getppid() != parent:  # a killed engine cannot say goodbye
            break
    cancelled.set()
    server.stop(_GRACE_SECONDS).wait()
    return 0


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
