# SPDX-License-Identifier: Apache-2.0
"""pyinfra's connector `@openssh/<host>`: the OpenSSH client instead of paramiko.

It connects as Ansible and our own runner do (same variables, pinned host keys, shared connections), so that
there is one way in to keep safe.
"""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import ConnectError, InventoryError
from pyinfra.api.util import get_file_io
from pyinfra.connectors.base import BaseConnector, DataMeta
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.util import extract_control_arguments, make_unix_command_for_host
from typing_extensions import TypedDict, override

from infra.fleet.remote import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator


class ConnectorData(TypedDict):
    """How one host is reached: the names that Ansible gives these variables, so that there is one set."""

    ansible_host: str
    ansible_port: int
    ansible_user: str
    ansible_ssh_private_key_file: str
    ansible_ssh_common_args: str


class OpenSSHConnector(BaseConnector):
    """Runs pyinfra's commands through `ssh`; files travel over the same connection, never by argument."""

    handles_execution = True
    data_cls = ConnectorData
    data_meta = {  # noqa: RUF012 - the base class declares it so
        "ansible_host": DataMeta("address of the host"),
        "ansible_port": DataMeta("port of its SSH server", 22),
        "ansible_user": DataMeta("user to log in as"),
        "ansible_ssh_private_key_file": DataMeta("file of the private key"),
        "ansible_ssh_common_args": DataMeta("options of the client: known hosts, checking", ""),
    }

    def __init__(self, state: Any, host: Any) -> None:
        """Keep a local connector: it runs the client and collects its output."""
        super().__init__(state, host)
        self.local = LocalConnector(state, host)

    @override
    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the one host that `@openssh/<host>` names, under its plain name."""
        if not name:
            raise InventoryError("@openssh needs the name of a host, as in @openssh/app-1")
        yield name, {}, []

    def _reach(self) -> Reach:
        data = self.data
        options = tuple(shlex.split(data["ansible_ssh_common_args"]))
        key = data["ansible_ssh_private_key_file"]
        return Reach(data["ansible_host"], data["ansible_port"], data["ansible_user"], key, options)

    def _client(self, remote: str) -> StringCommand:
        return StringCommand(shlex.join(self._reach().argv(remote)))

    @override
    def connect(self) -> None:
        """Open the shared connection; raise ConnectError where the host does not let us in."""
        argv = self._reach().argv("true")
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        except subprocess.TimeoutExpired as error:
            raise ConnectError("no answer within 30 s") from error
        if done.returncode != 0:
            raise ConnectError(done.stderr.strip() or f"ssh ended with {done.returncode}")

    @override
    def run_shell_command(
        self, command: Any, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, Any]:
        """Run one command on the host, through sudo or su where the arguments say so."""
        control = extract_control_arguments(arguments)  # type: ignore[arg-type]
        unix = make_unix_command_for_host(self.state, self.host, command, **arguments)
        client = self._client(unix.get_raw_value())
        answer: tuple[bool, Any] = self.local.run_shell_command(
            client, print_output=print_output, print_input=print_input, **control
        )
        return answer

    @override
    def put_file(
        self,
        filename_or_io: Any,
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Write a file on the host; raise OSError with the host's words where that fails."""
        del remote_temp_filename, print_output, print_input
        with get_file_io(filename_or_io) as file:
            content = file.read()
        self._transfer(f"cat > {shlex.quote(remote_filename)}", arguments, _bytes(content))
        return True

    @override
    def get_file(
        self,
        remote_filename: str,
        filename_or_io: Any,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Read a file of the host; raise OSError with the host's words where that fails."""
        del remote_temp_filename, print_output, print_input
        content = self._transfer(f"cat {shlex.quote(remote_filename)}", arguments, b"")
        with get_file_io(filename_or_io, "wb") as file:
            file.write(content)
        return True

    def _transfer(self, line: str, arguments: dict[str, Any], content: bytes) -> bytes:
        extract_control_arguments(arguments)  # type: ignore[arg-type]
        command = make_unix_command_for_host(self.state, self.host, StringCommand(line), **arguments)
        argv = self._reach().argv(command.get_raw_value())
        done = subprocess.run(argv, input=content, capture_output=True, timeout=300, check=False)
        if done.returncode != 0:
            raise OSError(done.stderr.decode(errors="replace").strip() or f"ssh ended with {done.returncode}")
        return done.stdout


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
