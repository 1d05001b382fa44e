# SPDX-License-Identifier: Apache-2.0
"""A replica made anew: a copy of the running writer, streamed from host to host through SSH connections.

The copy lands beside the old data and is made ready there; only then is the server stopped and the two change
places. An interrupted run leaves the old data as it was; the next one begins anew.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.fleet.database import gtid
from infra.fleet.database import server as act
from infra.fleet.database.decisions import refused, the_writer
from infra.fleet.exits import Exit, PerennialError
from infra.fleet.journal import say_on_stderr
from infra.fleet.remote import must, reach, shell_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.fleet.database.server import Source
    from infra.fleet.database.state import Server, Situation, View
    from infra.fleet.remote import Result, Runner
    from infra.inventory import Fleet

DATA = "/var/lib/mysql"
COPY = f"{DATA}/.rebuild"
HEADROOM = 1.2  # of the source's size must be free: the copy, and what is written meanwhile
COPY_SECONDS = 6 * 3600.0
START_SECONDS = 120.0
UNIT = "mariadb.service"
BACKUP = [
    "mariadb-backup",
    "--backup",
    "--user=root",
    f"--datadir={DATA}",
    "--stream=mbstream",
    "--target-dir=/tmp",
]
EXTRACT = ["mbstream", "--extract", f"--directory={COPY}"]
PREPARE = ["mariadb-backup", "--prepare", f"--target-dir={COPY}"]
# The copy takes the place of everything but itself and what the file system needs.
CHANGE_PLACES = f"""set -eu
test -s {COPY}/mariadb_backup_binlog_info
find {DATA} -mindepth 1 -maxdepth 1 ! -name .rebuild ! -name lost+found -exec rm -rf {{}} +
find {COPY} -mindepth 1 -maxdepth 1 -exec mv -t {DATA} {{}} +
rmdir {COPY}
chown -R mysql:mysql {DATA}
"""


def plan(situation: Situation, host: str) -> Server:
    """Return the writer, to copy from; raise PerennialError (4) where `host` may not be rebuilt."""
    writer = the_writer(situation)
    if host == writer.host:
        raise refused(
            "is the writer, its data is the only one that counts", host, "perennial fleet switchover"
        )
    if host not in {*situation.servers, *situation.silent}:
        raise refused("is no enabled database host", host, "perennial fleet list database")
    return writer


def words(host: str, writer: Server) -> list[str]:
    """Return the plan for people."""
    return [
        f"copy the running server of {writer.host} to {COPY} on {host}, and make the copy ready",
        f"DELETE the data of {host}: stop its server, put the copy in place, start it read-only",
        f"let {host} follow {writer.host} from the transaction that the copy ends with",
    ]


def stream_copy(fleet: Fleet, source: str, command: list[str], target: str, sink: list[str]) -> None:
    """Pipe what `command` writes on `source` into `sink` on `target`; raises PerennialError.

    Through this machine, over the SSH connections that every host allows to it: no flow between the hosts is
    needed and nothing is written here. Each side's last words are part of the error.
    """
    argv = [reach(fleet, source).argv(shell_line(command, root=True))]
    argv.append(reach(fleet, target).argv(shell_line(sink, root=True)))
    with (
        subprocess.Popen(
            argv[0], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as sends,
        subprocess.Popen(
            argv[1], stdin=sends.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as takes,
    ):
        if sends.stdout:
            sends.stdout.close()  # so that a sink that ends also ends the source
        try:
            said = [takes.communicate(timeout=COPY_SECONDS)[1], sends.communicate(timeout=COPY_SECONDS)[1]]
        except BaseException:
            sends.kill()
            takes.kill()
            raise
    for name, process, text in ((source, sends, said[1]), (target, takes, said[0])):
        if process.returncode:
            last = (text.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise PerennialError(f"the copy failed (exit {process.returncode}): {last}", where=name)


def copied_position(text: str) -> str:
    """Return the GTIDs of a copy from mariadb_backup_binlog_info: file, position, GTIDs; by tabs."""
    parts = text.split()
    if len(parts) < 3:
        raise PerennialError(
            f"the copy does not say which transactions it has: {text!r}", code=Exit.INTEGRITY
        )
    return "".join(parts[2:])


@dataclass
class Rebuild:
    """One rebuild of `host` from the writer."""

    fleet: Fleet
    view: View
    runner: Runner
    host: str
    writer: str
    before: gtid.Set  # what the writer had before the copy began
    source: Source
    say: Callable[[str], None] = say_on_stderr
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> dict[str, float]:
        """Carry it out and return the seconds of each step; raises PerennialError."""
        self._timed("space", self._require_space)
        self._timed("copy", self._copy)
        self._timed("prepare", lambda: self._on(PREPARE, "making the copy ready", COPY_SECONDS))
        info = self._on(["cat", f"{COPY}/mariadb_backup_binlog_info"], "reading the copy's position").stdout
        position = copied_position(info)
        # A position names one origin; without the others this server would seem to lack what it has.
        history = gtid.text(gtid.union(self.before, gtid.parse(position)))
        self._timed("replace", self._replace)
        self._timed("follow", lambda: self._follow(position, history))
        return self.seconds

    def _timed(self, name: str, step: Callable[[], object]) -> None:
        begin = time.monotonic()
        step()
        self.seconds[name] = round(time.monotonic() - begin, 1)
        self.say(f"{self.host}: {name}, {self.seconds[name]:.1f} s")

    def _on(self, command: list[str], doing: str, timeout: float = 60) -> Result:
        return must(self.runner.run(self.host, command, timeout=timeout), doing)

    def _require_space(self) -> None:
        """Raise PerennialError (9) where the copy would not fit beside the old data."""
        used = must(self.runner.run(self.writer, ["du", "-sk", DATA], safe=True), "measuring the data").stdout
        self._on(["rm", "-rf", COPY], "removing an earlier copy")
        free = self._on(["df", "--output=avail", "-k", DATA], "measuring the space").stdout.split()[-1]
        needed = int(used.split()[0]) * HEADROOM
        if int(free) < needed:
            what = f"{int(free) // 1024} MiB are free in {DATA}, the copy needs {needed / 1024:.0f} MiB"
            next_ = "perennial runbook show HostFilesystemAlmostFull"
            raise PerennialError(what, where=self.host, next_=next_, code=Exit.NO_SPACE)

    def _copy(self) -> None:
        self._on(["install", "-d", "-m", "0700", COPY], "making room for the copy")
        stream_copy(self.fleet, self.writer, BACKUP, self.host, EXTRACT)

    def _replace(self) -> None:
        self._on(["systemctl", "stop", UNIT], "stopping the server", 300)
        self._on(["bash", "-c", CHANGE_PLACES], "putting the copy in place", 600)
        self._on(["systemctl", "unmask", UNIT], "allowing the server to start")
        self._on(["systemctl", "reset-failed", UNIT], "forgetting earlier failures")
        self._on(["systemctl", "start", UNIT], "starting the server", START_SECONDS)

    def _follow(self, position: str, history: str) -> None:
        session = self.view.sessions.open(self.host, "mariadb")
        # The copy brings no binary log; what it has is told by the position it ends with.
        session.do(["RESET MASTER"], ["SET GLOBAL gtid_binlog_state = %s", history])
        session.do(["SET GLOBAL gtid_slave_pos = %s", position])
        act.follow(session, self.source)
        act.wait_until_following(session)
        act.wait_until_acknowledged(self.view.databases[self.writer])
