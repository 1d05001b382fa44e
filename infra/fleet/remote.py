# SPDX-License-Identifier: Apache-2.0
"""Commands on hosts through the OpenSSH client: pinned host keys, one key, one shared connection a host."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from infra.fleet.exits import Exit, PerennialError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infra.inventory import Fleet

SSH_FAILED = 255
TIMED_OUT = 124
CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Result:
    """What a command on a host answered; `skipped` means that a dry run left it out."""

    host: str
    returncode: int
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    skipped: bool = False

    @property
    def ok(self) -> bool:
        """Tell whether the command ended with 0."""
        return self.returncode == 0

    @property
    def reached(self) -> bool:
        """Tell whether the host answered at all."""
        return self.returncode != SSH_FAILED

    def last_line(self) -> str:
        """Return the last line said, errors first: what a person is shown of a failure."""
        lines = self.stderr.strip().splitlines() or self.stdout.strip().splitlines() or ["no output"]
        return lines[-1]


class Runner(Protocol):
    """Something that runs commands on hosts: over SSH, or in memory for tests."""

    dry_run: bool

    def run(
        self,
        host: str,
        command: Sequence[str],
        *,
        safe: bool = False,
        stdin: str = "",
        timeout: float = 60,
        root: bool = True,
    ) -> Result:
        """Run `command` on `host` within `timeout` s; a dry run skips what is not `safe` (reads only)."""
        ...


@dataclass(frozen=True)
class Reach:
    """How the OpenSSH client gets to one machine."""

    address: str
    port: int
    user: str
    key_file: str
    options: tuple[str, ...]

    def argv(self, remote: str) -> list[str]:
        """Return the whole client command that runs the shell line `remote`; it carries no secret."""
        return [
            "ssh", "-T", "-p", str(self.port), "-i", self.key_file, *self.options, *multiplexed(),
            "-oLogLevel=ERROR", "-oBatchMode=yes", f"-oConnectTimeout={CONNECT_SECONDS}",
            "-oServerAliveInterval=5", "-oServerAliveCountMax=2", f"{self.user}@{self.address}", remote,
        ]  # fmt: skip


def control_directory() -> Path:
    """Return the private folder of connection sockets; a socket's path has at most 108 bytes."""
    path = Path(tempfile.gettempdir()) / f"perennial-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or path.is_symlink():
        raise PerennialError(f"{path} is not private to you", next_=f"rm -r {path}", code=Exit.USAGE)
    return path


def multiplexed() -> list[str]:
    """Return the options that share one connection a host between commands."""
    return ["-oControlMaster=auto", "-oControlPersist=60", f"-oControlPath={control_directory()}/%C"]


def reach(fleet: Fleet, host: str) -> Reach:
    """Return how `host` is reached; raise PerennialError where the fleet document does not know it."""
    machine = fleet.document.hosts.get(host)
    if machine is None:
        raise PerennialError(f"{host} is not provisioned", where=fleet.platform.name, next_="make up")
    options = (
        f"-oUserKnownHostsFile={fleet.known_hosts}",
        "-oStrictHostKeyChecking=yes",
        "-oIdentitiesOnly=yes",
    )
    return Reach(machine.address, machine.port, machine.user, str(fleet.key_file), options)


def shell_line(command: Sequence[str], *, root: bool) -> str:
    """Return `command` quoted for the remote shell, through sudo where it needs root."""
    words = ["sudo", "-n", "--", *command] if root else list(command)
    return shlex.join(words)


@dataclass
class SshRunner:
    """Runs commands on the hosts of a fleet; a dry run still reads real state and changes nothing."""

    fleet: Fleet
    dry_run: bool = True
    skipped: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def run(
        self,
        host: str,
        command: Sequence[str],
        *,
        safe: bool = False,
        stdin: str = "",
        timeout: float = 60,
        root: bool = True,
    ) -> Result:
        """Run `command` on `host`; see Runner. 255 where the host does not answer, 124 after `timeout`."""
        if self.dry_run and not safe:
            self.skipped.append((host, tuple(command)))
            return Result(host, 0, skipped=True)
        argv = reach(self.fleet, host).argv(shell_line(command, root=root))
        result = self._once(host, argv, stdin, timeout)
        if safe and not result.reached and "mux_client" in result.stderr:
            # the shared connection was to a machine that was replaced or rebooted; reading twice does no harm
            result = self._once(host, argv, stdin, timeout)
        return result

    @staticmethod
    def _once(host: str, argv: list[str], stdin: str, timeout: float) -> Result:
        begin = time.monotonic()
        try:
            done = subprocess.run(
                argv,
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - begin
            return Result(host, TIMED_OUT, "", f"no end within {timeout:g} s", seconds)
        return Result(host, done.returncode, done.stdout, done.stderr, time.monotonic() - begin)

    def close(self) -> None:
        """End the shared connections of this fleet; `make down` leaves no process behind."""
        for host in self.fleet.document.hosts:
            argv = reach(self.fleet, host).argv("")[:-1]
            subprocess.run([argv[0], "-O", "exit", *argv[1:]], capture_output=True, timeout=10, check=False)
        directory = control_directory()
        if not any(directory.iterdir()):
            directory.rmdir()


def run_many(
    runner: Runner,
    hosts: Iterable[str],
    command: Sequence[str],
    *,
    safe: bool = False,
    timeout: float = 60,
    root: bool = True,
) -> Mapping[str, Result]:
    """Run one command on several hosts at the same time and return each result by host name."""
    names = list(hosts)
    with ThreadPoolExecutor(max_workers=max(1, min(20, len(names)))) as workers:
        results = workers.map(
            lambda name: runner.run(name, command, safe=safe, timeout=timeout, root=root), names
        )
        return dict(zip(names, results, strict=True))


def must(result: Result, doing: str) -> Result:
    """Return `result`, or raise PerennialError saying what was being done, where, and what was answered."""
    if result.ok:
        return result
    if not result.reached:
        raise PerennialError(
            f"cannot be reached: {result.last_line()}", where=result.host, next_="perennial fleet status"
        )
    raise PerennialError(
        f"{doing} failed (exit {result.returncode}): {result.last_line()}", where=result.host
    )
