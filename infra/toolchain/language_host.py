# SPDX-License-Identifier: Apache-2.0
"""Pulumi language host for Python, over the gRPC stubs that the Pulumi SDK itself ships.

The official host is a Go program that comes with Pulumi's own installer and with nothing else. A CLI that
was built from Go modules therefore has none; this module serves the calls that preview, up, refresh, destroy,
import, about and install make (protocol: ``pulumi/language.proto``). The executable beside the CLI,
``pulumi-language-python``, starts it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent import futures
from importlib import metadata
from pathlib import Path
from types import FrameType

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

log = logging.getLogger(__name__)

ALREADY_SHOWN = 32
"""Exit code of the program runner: failed, and the user has already been told why."""

RUNNER = Path(__file__).with_name("program_runner.py")
MESSAGE_LIMIT = 400 * 1024 * 1024  # the engine's own limit: a plan may carry large file assets
_PARENT_CHECK_SECONDS = 1.0  # a killed CLI cannot tell its plugins to end
_STOP_GRACE_SECONDS = 3.0  # the engine kills a plugin 5 s after SIGINT


def engine_address(argv: Sequence[str]) -> str:
    """Return the engine's address from the host's arguments.

    Args:
        argv: Arguments without the program name; the engine puts its address last, after logging options.

    Raises:
        ValueError: When there is no argument that could be an address.
    """
    if not argv or argv[-1].startswith("-"):
        raise ValueError("no engine address: this program is started by the Pulumi CLI, not by hand")
    return argv[-1]


def program_path(request: language_pb2.RunRequest) -> Path:
    """Return the file or folder to run: ``main`` of Pulumi.yaml below the program's folder, if one is set."""
    folder = Path(request.info.program_directory or request.pwd)
    entry = request.info.entry_point or request.program or "."
    return (folder / entry).resolve()


def run_message(request: language_pb2.RunRequest, engine: str) -> str:
    """Return what the program runner reads from its standard input, as JSON.

    Configuration may hold decrypted secrets, therefore it travels by pipe and not by environment or argument.
    """
    return json.dumps(
        {
            "program": str(program_path(request)),
            "arguments": list(request.args),
            "config": dict(request.config),
            "secret_keys": list(request.configSecretKeys),
            "settings": {
                "monitor": request.monitor_address,
                "engine": engine,
                "project": request.project,
                "stack": request.stack,
                "parallel": request.parallel,
                "dry_run": request.dryRun,
                "organization": request.organization,
                "root_directory": request.info.root_directory,
            },
        }
    )


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs Pulumi programs with the interpreter that runs this host."""

    def __init__(self, engine: str) -> None:
        """Serve for the engine at ``engine`` (``host:port``)."""
        self._engine = engine
        self._children: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        """Take the engine's address when the engine attaches to a host that is already running."""
        self._engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Report the SDK's version as the host's version."""
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        """Require nothing ahead: providers are named in Pulumi.yaml or resolved when first used."""
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(
        self, request: language_pb2.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPluginsResponse:
        """Require nothing ahead (the older form of the same call)."""
        return language_pb2.GetRequiredPluginsResponse()

    def About(
        self, request: language_pb2.AboutRequest, context: grpc.ServicerContext
    ) -> language_pb2.AboutResponse:
        """Report the interpreter that programs run with."""
        version = ".".join(str(part) for part in sys.version_info[:3])
        return language_pb2.AboutResponse(executable=sys.executable, version=version)

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        """List the distributions installed in the interpreter's environment, by name."""
        found = {item.name: item.version for item in metadata.distributions()}
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=n, version=v) for n, v in sorted(found.items())]
        )

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Say that ``make setup`` owns the virtual environment; install nothing."""
        text = "The virtual environment is kept by `make setup`, from hash-locked requirements.\n"
        yield language_pb2.InstallDependenciesResponse(stdout=text.encode())

    def Run(
        self, request: language_pb2.RunRequest, context: grpc.ServicerContext
    ) -> language_pb2.RunResponse:
        """Run the program in a process of its own and wait for it."""
        command = [sys.executable, "-u", str(RUNNER)]
        with subprocess.Popen(command, cwd=request.pwd, stdin=subprocess.PIPE, text=True) as child:
            with self._lock:
                self._children.add(child)
            try:
                code = self._feed(child, run_message(request, self._engine))
            finally:
                with self._lock:
                    self._children.discard(child)
        if code == ALREADY_SHOWN:
            return language_pb2.RunResponse(bail=True)
        if code:
            return language_pb2.RunResponse(error=f"the program ended with exit code {code}")
        return language_pb2.RunResponse()

    @staticmethod
    def _feed(child: subprocess.Popen[str], message: str) -> int:
        try:
            child.communicate(message)
        except BrokenPipeError:
            log.debug("the program runner ended before it had read its message")
        return child.wait()

    def stop(self) -> None:
        """End programs that are still running: first by SIGTERM, then by SIGKILL."""
        with self._lock:
            running = list(self._children)
        for child in running:
            child.terminate()
        for child in running:
            try:
                child.wait(_STOP_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def serve(engine: str) -> None:
    """Serve until the engine asks the process to end by SIGINT or SIGTERM, or is gone.

    The first line on standard output is the port, as the engine expects; program output follows it.
    """
    host = LanguageHost(engine)
    limits = [(f"grpc.max_{way}_message_length", MESSAGE_LIMIT) for way in ("receive", "send")]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=limits)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    ended = threading.Event()

    def end(_signum: int, _frame: FrameType | None) -> None:
        """Let the server end."""
        ended.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    server.start()
    print(port, flush=True)
    cli = os.getppid()
    while not ended.wait(_PARENT_CHECK_SECONDS) and os.getppid() == cli:
        pass
    host.stop()
    server.stop(grace=None)


def main(argv: Sequence[str]) -> int:
    """Start the host; return 64 when it was not started by the Pulumi CLI."""
    try:
        engine = engine_address(argv)
    except ValueError as error:
        print(f"pulumi-language-python: {error}", file=sys.stderr)
        return 64
    serve(engine)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
