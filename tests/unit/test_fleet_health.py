# SPDX-License-Identifier: Apache-2.0
"""Health, silences, and the commands that reach hosts."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from infra.fleet import health, remote
from infra.fleet.exits import PerennialError
from infra.fleet.silence import Silences, silenced
from tests.unit.fleet_world import World, fleet, platform

WRITER = "*** 1. row ***\n  Read_Only: 0\n"
REPLICA = (
    "*** 1. row ***\n Read_Only: 1\n*** 1. row ***\n Slave_IO_Running: {io}\n"
    " Slave_SQL_Running: {sql}\n Last_SQL_Error: {error}\n"
)


@pytest.mark.parametrize(
    ("printed", "problems"),
    [
        (WRITER, []),
        (REPLICA.format(io="Yes", sql="Yes", error=""), []),
        (REPLICA.format(io="Connecting", sql="Yes", error=""), ["replication IO thread: Connecting"]),
        (REPLICA.format(io="Yes", sql="No", error="1062"), ["replication SQL thread: No", "1062"]),
        ("*** 1. row ***\nRead_Only: 1\n", ["read only, and replicates from nobody"]),
        ("", ["read only, and replicates from nobody"]),
    ],
)
def test_a_database_is_healthy_as_writer_or_as_running_replica_only(
    printed: str, problems: list[str]
) -> None:
    """A read-only server without a source runs, answers, and is of no use to anybody."""
    assert health.replication_problems(printed) == problems


def test_a_unit_that_failed_is_named(tmp_path: Path) -> None:
    """`degraded` would send the person on call to look for what this line can say."""
    world = World()
    world.down = {("app-2", "nginx")}
    state = health.Health(platform(tmp_path), world.runner).host(platform(tmp_path).hosts["app-2"])
    assert state.problems == ("nginx is failed",)


def test_a_host_that_does_not_answer_is_one_problem(tmp_path: Path) -> None:
    """Nothing else can be known of it."""
    world = World()
    gone = remote.Result("app-2", 255, "", "connect: no route")
    world.runner.rules.insert(0, lambda host, *_: gone if host == "app-2" else None)
    state = health.Health(platform(tmp_path), world.runner).host(platform(tmp_path).hosts["app-2"])
    assert state.problems == ("cannot be reached: connect: no route",)


def test_waiting_for_health_ends_in_time_and_names_every_problem(tmp_path: Path) -> None:
    """A wait without an end, or one that says only `timeout`, wastes a night."""
    world = World()
    world.down = {("app-2", "page"), ("edge-1", "varnish")}
    with pytest.raises(PerennialError) as failure:
        health.wait_all(fleet(tmp_path), seconds=0.1, runner=world.runner)
    assert "app-2: health page: from edge-1: 503 no database; from edge-2" in str(failure.value)
    assert "edge-1: varnish is failed" in str(failure.value)


def test_disabled_hosts_are_not_waited_for(tmp_path: Path) -> None:
    """A machine that was taken out of automation must not stop everything else."""
    world = World()
    health.wait_all(fleet(tmp_path), seconds=0.1, runner=world.runner)
    assert "app-3" not in {host for host, _ in world.runner.reads}


def test_a_dry_run_reads_and_does_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans come from real state; the default of the library must not act."""
    called: list[list[str]] = []

    def client(argv: list[str], **_: object) -> object:
        called.append(argv)
        return type("Done", (), {"returncode": 0, "stdout": "x", "stderr": ""})()

    monkeypatch.setattr("infra.fleet.remote.subprocess.run", client)
    runner = remote.SshRunner(fleet(tmp_path))
    assert runner.run("app-1", ["reboot"]).skipped
    assert called == []
    assert runner.run("app-1", ["uptime"], safe=True).stdout == "x"
    assert called[0][-1] == "sudo -n -- uptime"


def test_host_keys_are_pinned_and_nobody_is_asked(tmp_path: Path) -> None:
    """A connection to a host that only claims the address would hand over everything that follows."""
    argv = remote.reach(fleet(tmp_path), "app-1").argv("true")
    assert "-oStrictHostKeyChecking=yes" in argv
    assert f"-oUserKnownHostsFile={tmp_path / 'known_hosts'}" in argv
    assert "-oBatchMode=yes" in argv
    assert argv[-2:] == ["ops@192.0.2.21", "true"]


def test_words_reach_the_host_as_they_are() -> None:
    """The remote side is a shell: a space or a quote in a word must not become another command."""
    assert remote.shell_line(["echo", "a b; rm -rf /", "$x"], root=False) == "echo 'a b; rm -rf /' '$x'"


def test_an_unprovisioned_host_is_named_with_the_next_command(tmp_path: Path) -> None:
    """The description may be ahead of the machines."""
    with pytest.raises(PerennialError, match="app-9 is not provisioned; next: make up"):
        remote.reach(fleet(tmp_path), "app-9")


def api(handler: object) -> Silences:
    """Return silences over a stand-in of Alertmanager."""
    transport = httpx.MockTransport(handler)  # type: ignore[arg-type]
    return Silences("https://mon/api/v2", httpx.Client(transport=transport))


def test_alerts_of_the_hosts_are_silenced_for_the_block_only() -> None:
    """A silence that outlives the work hides the next real fault."""
    asked: list[tuple[str, str, str]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, request.content.decode()))
        return httpx.Response(200, json={"silenceID": "s1"})

    with silenced(api(handler), ["app-2", "app-1"], "restart", minutes=5):
        assert len(asked) == 1
    body = json.loads(asked[0][2])
    assert body["matchers"] == [
        {"name": "instance", "value": "app-1|app-2", "isRegex": True, "isEqual": True}
    ]
    assert asked[1][:2] == ("DELETE", "/api/v2/silence/s1")


def test_after_an_error_the_silence_stays_and_that_is_said() -> None:
    """The host stays drained too: alerts for what is known would only wake people."""
    told: list[str] = []
    methods: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        methods.append(request.method)
        return httpx.Response(200, json={"silenceID": "s1"})

    with pytest.raises(ValueError, match="x"), silenced(api(handler), ["app-1"], "r", say=told.append):
        raise ValueError("x")
    assert methods == ["POST"]
    assert "stay SILENCED" in told[0]


def test_without_an_alertmanager_the_work_goes_on_and_that_is_said() -> None:
    """Maintenance must be possible while monitoring is what is broken."""
    told: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with silenced(api(handler), ["app-1"], "r", say=told.append):
        pass
    with silenced(None, ["app-1"], "r", say=told.append):
        pass
    assert "cannot be told" in told[0]
    assert "nothing to silence" in told[1]


@pytest.mark.parametrize(
    ("reason", "minutes"), [("", 5), (" ", 5), ("disk swap", 0), ("disk swap", -1), ("disk swap", 1441)]
)
def test_a_silence_without_reason_or_end_is_refused(reason: str, minutes: float) -> None:
    """Nobody remembers it, and it hides the next fault; Alertmanager itself takes years and no reason."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"silenceID": "s1"})

    with pytest.raises(PerennialError, match=r"a silence (needs a reason|ends within)"):
        api(handler).add(["app-1"], reason, minutes)
    assert not asked
