# SPDX-License-Identifier: Apache-2.0
"""The package cache: one apt-cacher-ng process for all labs of the machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from infra.lab.core.errors import LabError
from infra.lab.core.nspawn.files import locked, remove_if_empty, write_atomic
from infra.lab.core.nspawn.firewall import apply_rules, drop_table
from infra.lab.core.nspawn.paths import Paths
from infra.lab.core.process import Budget, run

# One process serves all labs, whose addresses come and go; the table below keeps everybody else out.
_ANY = "0.0.0.0"  # noqa: S104
_USER = "apt-cacher-ng"
_PROGRAM = Path("/usr/sbin/apt-cacher-ng")
_TABLE = "perennial_package_cache"  # longer than any lab name, so no lab has it


class PackageCache:
    """Starts the cache for the first lab, stops it after the last."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def running(self, port: int) -> bool:
        """Whether our cache process answers on this port."""
        return self._process() is not None and self._port() == port and _answers(port)

    def start(self, user: str, port: int, budget: Budget) -> None:
        """Make sure that the cache runs, and note that the lab ``user`` uses it.

        Raises:
            LabError: the port is taken, another port is in use by our cache, or the program does not start.
        """
        with locked(self._paths.runtime / "cache.lock", budget):
            if self._process() is not None and self._port() not in (0, port):
                raise LabError(
                    f"package cache: it already serves the other labs on port {self._port()}, and "
                    f"cache_port says {port}; set cache_port: {self._port()}"
                )
            if not self.running(port):
                self._stop(budget)
                self._launch(port, budget)
            users = self._paths.cache / "users"
            users.mkdir(parents=True, exist_ok=True)
            (users / user).touch()

    def release(self, user: str, budget: Budget) -> None:
        """Note that a lab uses the cache no longer; the last one stops it. Cached packages stay."""
        with locked(self._paths.runtime / "cache.lock", budget):
            users = self._paths.cache / "users"
            (users / user).unlink(missing_ok=True)
            if users.is_dir() and any(users.iterdir()):
                return
            self._stop(budget)
            drop_table(_TABLE, budget)
            shutil.rmtree(self._paths.cache, ignore_errors=True)
        remove_if_empty(self._paths.runtime)

    def _launch(self, port: int, budget: Budget) -> None:
        if not _PROGRAM.exists():
            raise LabError("apt-cacher-ng is not installed on this machine; `make setup` installs it")
        _refuse_taken(port)
        account = pwd.getpwnam(_USER)
        log = self._paths.cache / "log"
        for directory in (self._paths.packages, log):
            directory.mkdir(parents=True, exist_ok=True)
            os.chown(directory, account.pw_uid, account.pw_gid)
        write_atomic(self._paths.cache / "conf" / "acng.conf", self._configuration(port, budget))
        apply_rules(_TABLE, _RULES.format(port=port), budget)
        # Popen's own user= would make it fork instead of vfork, and now and then gRPC's fork handlers, in
        # whose server this runs, abort such a child.
        process = subprocess.Popen(
            ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", *self._command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        while not _answers(port):
            if process.poll() is not None:
                raise LabError(
                    f"package cache: apt-cacher-ng ended at once (exit {process.returncode}); "
                    f"its log is {log}/apt-cacher.err"
                )
            budget.pause(0.02, "starting the package cache")

    def _configuration(self, port: int, budget: Budget) -> str:
        lines = {
            "CacheDir": self._paths.packages,
            "LogDir": self._paths.cache / "log",
            "Port": port,
            "BindAddress": _ANY,
            "ForeGround": 1,
            "SupportDir": "/usr/lib/apt-cacher-ng",
            "ReportPage": "",
            "ExThreshold": 30,
            "AllowUserPorts": "80",
        }
        proxy = _machine_proxy(budget)
        if proxy:
            lines["Proxy"] = proxy
        return "".join(f"{key}: {value}\n" for key, value in lines.items())

    @property
    def _command(self) -> list[str]:
        return [str(_PROGRAM), "-c", str(self._paths.cache / "conf")]

    def _port(self) -> int:
        """The port in the configuration, which is only written while no cache of ours runs; 0 without one."""
        with suppress(FileNotFoundError):
            for line in (self._paths.cache / "conf" / "acng.conf").read_text(encoding="utf-8").splitlines():
                if line.startswith("Port:"):
                    return int(line.removeprefix("Port:"))
        return 0

    def _process(self) -> psutil.Process | None:
        """Our process, by its command line: a noted number is lost when its writer is killed."""
        for process in psutil.process_iter(["cmdline", "status"]):
            if process.info["cmdline"] == self._command and process.info["status"] != psutil.STATUS_ZOMBIE:
                return process
        return None

    def _stop(self, budget: Budget) -> None:
        while (process := self._process()) is not None:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
            budget.pause(0.02, "stopping the package cache")


_RULES = """
chain input {{
  type filter hook input priority -10; policy accept;
  tcp dport {port} iifname != {{ "lo", "pl-*" }} drop
}}
"""


def _machine_proxy(budget: Budget) -> str:
    """The proxy that the machine's own apt is configured to use, or an empty string."""
    value = run(["apt-config", "shell", "value", "Acquire::http::Proxy"], budget).strip()
    return value.removeprefix("value=").strip("'") if value else ""


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_ANY, port))
        except OSError:
            return False
    return True


def _refuse_taken(port: int) -> None:
    if _free(port):
        return
    nearest = next(other for step in range(1, 1000) for other in (port + step,) if _free(other))
    raise LabError(
        f"package cache: port {port} is in use by another program (`ss -ltnp sport = :{port}` shows "
        f"which); end it, or set cache_port to the nearest free one, {nearest}"
    )
