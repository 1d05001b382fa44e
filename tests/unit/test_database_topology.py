# SPDX-License-Identifier: Apache-2.0
"""Who writes, decided from what all servers say; and what an account is compared by."""

from __future__ import annotations

from typing import Any, cast

import pytest

from infra.inventory.ansible.modules import mariadb_accounts as accounts
from infra.inventory.ansible.modules import mariadb_topology as topology

ONE, TWO = 101, 102


def state(binlog: str = "", position: str = "", **changed: Any) -> dict[str, Any]:
    """Return what a read-only server without replication says, with `changed` on top."""
    found = {"read_only": True, "binlog_state": binlog, "replica_position": position}
    return found | {"server_id": ONE, "binlog_complete": True, "replica": None} | changed


FOLLOWING = {"Slave_SQL_Running": "Yes", "Slave_IO_Running": "Yes"}


def test_the_writer_stays_the_writer() -> None:
    """A converge must never move the writer by itself, whatever the names are."""
    assert topology.elect({"db-1": state("1-101-5"), "db-2": state("1-101-5", read_only=False)}) == "db-2"
    assert topology.elect({"db-1": None, "db-2": state("1-101-5", read_only=False)}) == "db-2"


def test_of_a_new_platform_the_first_by_name_writes() -> None:
    """Every server has to come to the same decision on its own."""
    assert topology.elect({"db-2": state(), "db-1": state()}) == "db-1"


def test_after_a_stop_of_all_the_one_with_all_transactions_writes() -> None:
    """Any other choice would lose acknowledged writes."""
    behind, ahead = state("1-101-5", "1-101-5"), state("1-101-9", "1-101-4")
    assert topology.elect({"db-1": behind, "db-2": ahead}) == "db-2"


def test_among_equals_the_one_that_others_follow_writes() -> None:
    """It spares the others a change of source."""
    follower = state("1-102-9", "1-102-9", replica=FOLLOWING)
    assert topology.elect({"db-1": follower, "db-2": state("1-102-9")}) == "db-2"


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"db-1": state(read_only=False), "db-2": state(read_only=False)}, "more than one server"),
        ({"db-1": state("1-101-5"), "db-2": None}, "db-2 cannot be read"),
        ({"db-1": state("1-101-6"), "db-2": state("1-101-5,1-102-6")}, "no server has all transactions"),
    ],
)
def test_where_a_choice_could_lose_data_a_person_is_asked(nodes: dict[str, Any], message: str) -> None:
    """A wrong writer cannot be taken back once it has taken writes."""
    with pytest.raises(topology.TopologyError, match=message):
        topology.elect(nodes)


def test_a_server_with_transactions_of_its_own_may_not_follow() -> None:
    """Replication would stop later, or hide the loss."""
    writer = state("1-101-100,1-102-102", read_only=False, server_id=TWO)
    with pytest.raises(topology.TopologyError, match="never had"):
        topology.check_can_follow("db-1", state("1-101-101"), "db-2", writer)
    topology.check_can_follow("db-1", state("1-101-100"), "db-2", writer)


def test_a_running_replica_may_be_ahead_of_the_earlier_reading() -> None:
    """The writer goes on writing between the two readings."""
    writer = state("1-101-100", read_only=False, server_id=ONE)
    ahead = state("1-101-105", "1-101-105", replica=FOLLOWING, server_id=TWO)
    topology.check_can_follow("db-2", ahead, "db-1", writer)
    with pytest.raises(topology.TopologyError, match="never had"):
        topology.check_can_follow("db-2", ahead | {"binlog_state": "1-101-105,1-102-106"}, "db-1", writer)


def test_an_empty_server_needs_binary_logs_from_the_beginning() -> None:
    """With a gap it would replicate from the middle and miss what came before."""
    writer = state("1-101-100", read_only=False, binlog_complete=False)
    with pytest.raises(topology.TopologyError, match="perennial fleet rebuild db-2"):
        topology.check_can_follow("db-2", state(), "db-1", writer)


APP = {"user": "wordpress_a", "host": "10.0.0.1", "password": "secret", "plugin": None, "tls": True}
GRANTS = {"wordpress_a.*": ["SELECT", "INSERT"]}


class Reading:
    """A server as `changes` reads it."""

    def __init__(self, found: dict[tuple[str, str], Any], grants: dict[str, set[str]]) -> None:
        self._found, self._grants = found, grants

    def accounts(self) -> dict[tuple[str, str], Any]:
        """Return the accounts."""
        return self._found

    def schemas(self) -> set[str]:
        """Return the schemas."""
        return {"wordpress_a"}

    def grants(self, *_who: str) -> dict[str, set[str]]:
        """Return the privileges."""
        return self._grants


def needed(account: dict[str, Any], grants: dict[str, set[str]], *others: tuple[str, str]) -> list[str]:
    """Return the statements that a server with `account` and `others` needs."""
    found = {("wordpress_a", "10.0.0.1"): account} | {who: {} for who in others}
    wanted = [{**APP, "grants": GRANTS}]
    return [
        statement
        for statement, _ in accounts.changes(cast("Any", Reading(found, grants)), wanted, ["wordpress_a"])
    ]


RIGHT = {
    "plugin": "mysql_native_password",
    "authentication_string": "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7",
    "ssl_type": 1,
}
GIVEN = {"wordpress_a.*": {"SELECT", "INSERT"}}


def test_an_account_that_is_right_is_left_alone() -> None:
    """The stored hash is that of `secret` by MariaDB's own PASSWORD()."""
    assert needed(RIGHT, GIVEN) == []
    assert needed(RIGHT | {"auth_or": [{}]}, GIVEN) == []


@pytest.mark.parametrize(
    "account",
    [
        RIGHT | {"authentication_string": "*0"},
        RIGHT | {"ssl_type": 0},
        RIGHT | {"plugin": "unix_socket"},
        RIGHT | {"auth_or": [{"plugin": "unix_socket"}]},
    ],
    ids=["password", "no TLS", "plugin", "second way in"],
)
def test_a_weaker_login_is_put_right(account: dict[str, Any]) -> None:
    """Each is a way in that nobody described."""
    assert [one.split()[0] for one in needed(account, GIVEN)] == ["ALTER"]


def test_privileges_become_exactly_those_listed() -> None:
    """Least privilege decays by additions that nobody takes back."""
    more = {"wordpress_a.*": {"SELECT", "FILE"}, "*.*": {"SUPER"}}
    assert needed(RIGHT, more) == [
        "REVOKE SUPER ON *.* FROM %s@%s",
        r"REVOKE FILE ON `wordpress\_a`.* FROM %s@%s",
        r"GRANT INSERT ON `wordpress\_a`.* TO %s@%s",
    ]


def test_strangers_are_kept_and_leftovers_dropped() -> None:
    """An adopter's accounts are not ours to drop; our users at former hosts are."""
    others = (("", "localhost"), ("wordpress_a", "10.9.9.9"), ("mysql", "localhost"), ("adopter", "%"))
    assert needed(RIGHT, GIVEN, *others) == ["DROP USER %s@%s"] * 3
    assert accounts.unmanaged({who: {} for who in others}, [{**APP, "grants": GRANTS}]) == ["adopter@%"]


def test_a_schema_name_cannot_carry_a_statement() -> None:
    """Names are put into statements as they are."""
    with pytest.raises(ValueError, match="not a schema name"):
        accounts.check_names([], ["x`; DROP DATABASE y"])
