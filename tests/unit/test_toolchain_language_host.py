# SPDX-License-Identifier: Apache-2.0
"""The language host answers the engine's calls and keeps what it is given out of sight."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from infra.toolchain import language_host, program_runner
from infra.toolchain.paths import CHECKOUT


def test_engine_address_is_the_last_argument() -> None:
    """The engine puts logging options before it."""
    assert language_host.engine_address(["--logtostderr", "-v=9", "127.0.0.1:4"]) == "127.0.0.1:4"


@pytest.mark.parametrize("argv", [[], ["--help"]])
def test_start_by_hand_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It would wait for ever otherwise."""
    assert language_host.main(argv) == 64
    assert "started by the Pulumi CLI" in capsys.readouterr().err


def test_program_is_found_below_its_folder() -> None:
    """`main` of Pulumi.yaml counts from the program's folder."""
    info = language_pb2.ProgramInfo(program_directory="/srv/project", entry_point="sub")
    assert language_host.program_path(language_pb2.RunRequest(info=info)) == Path("/srv/project/sub")


def test_entry_point_is_a_file_or_a_folder_with_main(tmp_path: Path) -> None:
    """The message for a missing program names the path."""
    (tmp_path / "__main__.py").write_text("")
    assert program_runner.entry_point(tmp_path) == tmp_path / "__main__.py"
    with pytest.raises(FileNotFoundError, match="nothing"):
        program_runner.entry_point(tmp_path / "nothing")


def test_traceback_starts_in_the_program(tmp_path: Path) -> None:
    """Frames of the runner and the SDK do not help the reader."""
    program = tmp_path / "program.py"
    program.write_text("def f():\n    raise KeyError('boom')\nf()\n")
    with pytest.raises(KeyError) as caught:
        program_runner._execute(program)
    text = program_runner.program_traceback(caught.value)
    assert "boom" in text
    assert "program.py" in text
    assert "runpy" not in text
    assert program_runner.__file__ not in text


Served = tuple[subprocess.Popen[str], language_pb2_grpc.LanguageRuntimeStub]


@pytest.fixture
def served() -> Iterator[Served]:
    """A host in a process of its own; gives its process and a channel to it."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-u", "-m", "infra.toolchain.language_host", "127.0.0.1:1"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as host:
        assert host.stdout is not None
        port = int(host.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield host, language_pb2_grpc.LanguageRuntimeStub(channel)
        host.kill()


def test_host_answers_what_the_engine_asks(served: Served) -> None:
    """No plugin is required ahead, so nothing is downloaded; SIGINT ends it without a word."""
    host, stub = served
    assert stub.GetPluginInfo(empty_pb2.Empty(), timeout=20).version
    assert (
        list(stub.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest(), timeout=20).packages) == []
    )
    assert stub.About(language_pb2.AboutRequest(), timeout=20).executable == sys.executable
    names = {
        item.name
        for item in stub.GetProgramDependencies(language_pb2.GetProgramDependenciesRequest()).dependencies
    }
    assert "pulumi" in names
    (said,) = stub.InstallDependencies(language_pb2.InstallDependenciesRequest())
    assert b"make setup" in said.stdout
    host.send_signal(signal.SIGINT)
    _, errors = host.communicate(timeout=20)
    assert (host.returncode, errors) == (0, "")


def test_run_hands_configuration_over_by_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decrypted configuration must be neither in argv nor in the environment of the program's process."""
    seen = tmp_path / "seen.json"
    runner = tmp_path / "runner.py"
    runner.write_text(
        "import json, os, sys\n"
        "seen = {'argv': sys.argv, 'env': dict(os.environ), 'in': json.load(sys.stdin)}\n"
        f"json.dump(seen, open({str(seen)!r}, 'w'))\n"
        "sys.exit(32)\n"
    )
    monkeypatch.setattr(language_host, "RUNNER", runner)
    request = language_pb2.RunRequest(
        pwd=str(tmp_path), config={"demo:key": "planted-secret"}, configSecretKeys=["demo:key"], dryRun=True
    )
    host = language_host.LanguageHost("127.0.0.1:1")
    assert host.Run(request, None).bail  # type: ignore[arg-type]  # the context is not used
    told = json.loads(seen.read_text())
    assert told["in"]["config"] == {"demo:key": "planted-secret"}
    assert told["in"]["settings"]["dry_run"] is True
    assert "planted-secret" not in json.dumps([told["argv"], told["env"]])


def test_program_that_dies_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed program must not look like an empty one: the engine would delete everything."""
    runner = tmp_path / "runner.py"
    runner.write_text("import sys; sys.exit(3)\n")
    monkeypatch.setattr(language_host, "RUNNER", runner)
    request = language_pb2.RunRequest(pwd=str(tmp_path))
    answer = language_host.LanguageHost("127.0.0.1:1").Run(request, None)  # type: ignore[arg-type]
    assert "exit code 3" in answer.error
    assert not answer.bail


def test_program_ended_by_the_engine_says_nothing(tmp_path: Path) -> None:
    """The engine ends a program after another resource's error: a traceback would bury that error."""
    program = tmp_path / "__main__.py"
    program.write_text("raise KeyboardInterrupt\n")
    code = (
        "from infra.toolchain import program_runner as r\n"
        f"r.prepare = lambda message: r.Path({str(program)!r})\n"
        "async def stack(program): program()\n"
        "r.runtime.run_in_stack = stack\n"
        "r.sys.exit(r.run({}))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (program_runner.ALREADY_SHOWN, "", "")
