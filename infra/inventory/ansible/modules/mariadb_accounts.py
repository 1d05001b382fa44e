#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemas and accounts of a MariaDB server, with exactly the privileges that are listed."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule

try:
    import pymysql
    import pymysql.cursors
except ImportError:  # a host whose packages are still to come, looked at in check mode
    HAS_PYMYSQL = False
else:
    HAS_PYMYSQL = True

DOCUMENTATION = """
module: mariadb_accounts
short_description: schemas and accounts with exactly the listed privileges
description:
  - Compares what the server has (authentication, TLS requirement, privileges) and changes only what differs.
  - An account of a listed user at a host that is not listed is dropped, as are anonymous accounts and the
    package's C(mysql@localhost). Other accounts are left alone and returned as C(unmanaged).
options:
  accounts:
    description:
      - user, host, password or plugin (unix_socket), tls, grants (scope like C(*.*) to a list of privileges)
    type: list
    elements: dict
    required: true
  schemas: {description: schemas to have, type: list, elements: str, default: []}
  socket: {description: Unix socket, type: path, default: /run/mysqld/mysqld.sock}
"""

COLLATION = "utf8mb4_unicode_ci"
FROM_PACKAGE = {("mysql", "localhost")}  # the package's second administrator, which nothing here uses
KEPT = {"mariadb.sys"}  # owner of the sys schema's views
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# What the server prints for a privilege that was granted by another name.
PRINTED_AS = {"REPLICA MONITOR": "SLAVE MONITOR"}

Identity = tuple[str, str]


class Server:
    """The server on this host."""

    def __init__(self, socket: str) -> None:
        self._connection = pymysql.connect(
            unix_socket=socket, user="root", autocommit=True, cursorclass=pymysql.cursors.Cursor
        )

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        with self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())

    def close(self) -> None:
        """Say goodbye, so that the server logs no aborted connection."""
        self._connection.close()

    def accounts(self) -> dict[Identity, dict[str, Any]]:
        """Return every account with its authentication; roles are not accounts."""
        found = {}
        for host, user, text in self.rows("SELECT Host, User, Priv FROM mysql.global_priv"):
            account = json.loads(text)
            if not account.get("is_role"):
                found[user, host] = account
        return found

    def schemas(self) -> set[str]:
        """Return the names of all schemas."""
        return {name for (name,) in self.rows("SHOW DATABASES")}

    def grants(self, user: str, host: str) -> dict[str, set[str]]:
        """Return scope to privileges, GRANT OPTION among them where it is given."""
        found: dict[str, set[str]] = {}
        for (line,) in self.rows("SHOW GRANTS FOR %s@%s", user, host):
            match = re.match(r"GRANT (.+?) ON (\S+\.\S+) TO ", line)
            if match is None:
                continue  # default roles and proxies are none of ours
            privileges = set(match[1].split(", ")) - {"USAGE"}
            if line.endswith(" WITH GRANT OPTION"):
                privileges.add("GRANT OPTION")
            if privileges:
                found[match[2].replace("`", "").replace("\\", "")] = privileges
        return found


def native_hash(password: str) -> str:
    """Return what mysql_native_password stores: '*' and the doubled SHA-1, in upper case."""
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()


def authentication(account: dict[str, Any]) -> dict[str, Any]:
    """Return how mysql.global_priv stores the wanted authentication; ssl_type 1 is REQUIRE SSL."""
    if account.get("plugin"):
        return {"plugin": account["plugin"], "authentication_string": "", "ssl_type": 0}
    stored = native_hash(account["password"])
    return {
        "plugin": "mysql_native_password",
        "authentication_string": stored,
        "ssl_type": 1 if account["tls"] else 0,
    }


def stored_authentication(there: dict[str, Any]) -> dict[str, Any]:
    """Return the same view of an account that exists; a second way to log in never matches."""
    view = {
        "plugin": there.get("plugin", ""),
        "authentication_string": there.get("authentication_string", ""),
        "ssl_type": there.get("ssl_type", 0),
    }
    others = [one for one in there.get("auth_or", []) if one]  # an empty entry stands for the way given above
    return view | ({"auth_or": others} if others else {})


def identified(account: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the IDENTIFIED clause and its values; only a hash leaves this process."""
    if account.get("plugin"):
        return f"IDENTIFIED VIA {account['plugin']} REQUIRE NONE", []
    require = "SSL" if account["tls"] else "NONE"
    return f"IDENTIFIED VIA mysql_native_password USING %s REQUIRE {require}", [
        native_hash(account["password"])
    ]


def quoted_scope(scope: str) -> str:
    """Return a scope like `schema.*` with the schema quoted; `_` is a wildcard in a grant, so escaped."""
    schema, table = scope.split(".")
    if schema == "*":
        return scope
    return f"`{schema}`.{table}".replace("_", r"\_")


def privilege_statements(account: dict[str, Any], there: dict[str, set[str]]) -> list[str]:
    """Return GRANT and REVOKE statements, %s@%s for the account, that lead from `there` to what is wanted."""
    wanted = {scope: {PRINTED_AS.get(one, one) for one in ones} for scope, ones in account["grants"].items()}
    statements = []
    for scope in sorted({*wanted, *there}):
        too_many = there.get(scope, set()) - wanted.get(scope, set())
        missing = wanted.get(scope, set()) - there.get(scope, set())
        revoked = [
            f"REVOKE {privilege} ON {quoted_scope(scope)} FROM %s@%s" for privilege in sorted(too_many)
        ]
        statements += revoked
        option = " WITH GRANT OPTION" if "GRANT OPTION" in missing else ""
        plain = ", ".join(sorted(missing - {"GRANT OPTION"})) or "USAGE"
        if missing:
            statements.append(f"GRANT {plain} ON {quoted_scope(scope)} TO %s@%s{option}")
    return statements


def changes(
    server: Server, accounts: list[dict[str, Any]], schemas: list[str]
) -> list[tuple[str, list[str]]]:
    """Return every statement that is needed, with its values, in order."""
    needed: list[tuple[str, list[str]]] = [
        (f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE {COLLATION}", [])
        for name in sorted(set(schemas) - server.schemas())
    ]
    present = server.accounts()
    for account in accounts:
        who = (account["user"], account["host"])
        clause, values = identified(account)
        if who not in present:
            needed.append((f"CREATE USER %s@%s {clause}", [*who, *values]))
        elif stored_authentication(present[who]) != authentication(account):
            needed.append((f"ALTER USER %s@%s {clause}", [*who, *values]))
        there = server.grants(*who) if who in present else {}
        needed += [(statement, [*who]) for statement in privilege_statements(account, there)]
    return needed + [("DROP USER %s@%s", [*who]) for who in superfluous(present, accounts)]


def superfluous(present: dict[Identity, Any], accounts: list[dict[str, Any]]) -> list[Identity]:
    """Return accounts to drop: anonymous, the package's, and our users at hosts that are ours no longer."""
    wanted = {(account["user"], account["host"]) for account in accounts}
    users = {account["user"] for account in accounts}
    return sorted(
        who for who in present if who not in wanted and (not who[0] or who in FROM_PACKAGE or who[0] in users)
    )


def unmanaged(present: dict[Identity, Any], accounts: list[dict[str, Any]]) -> list[str]:
    """Return accounts that are neither wanted nor dropped."""
    users = {account["user"] for account in accounts}
    rest = [who for who in present if who[0] and who not in FROM_PACKAGE and who[0] not in users | KEPT]
    return sorted(f"{user}@{host}" for user, host in rest)


def check_names(accounts: list[dict[str, Any]], schemas: list[str]) -> None:
    """Raise ValueError for a name that cannot be put into a statement safely."""
    scopes = [scope.removesuffix(".*") for account in accounts for scope in account["grants"]]
    for name in [*schemas, *(scope for scope in scopes if scope != "*")]:
        if not NAME.fullmatch(name):
            raise ValueError(f"not a schema name: {name!r}")


def run(module: AnsibleModule) -> dict[str, Any]:
    """Bring the server to what is wanted; statements are returned without values, which may be hashes."""
    accounts, schemas = module.params["accounts"], module.params["schemas"]
    check_names(accounts, schemas)
    server = Server(module.params["socket"])
    try:
        needed = changes(server, accounts, schemas)
        if not module.check_mode:
            for statement, values in needed:
                server.rows(statement, *values)
        left = unmanaged(server.accounts(), accounts)
    finally:
        server.close()
    return {"changed": bool(needed), "statements": [statement for statement, _ in needed], "unmanaged": left}


def main() -> None:
    """Run as an Ansible module."""
    one = {
        "user": {"type": "str", "required": True},
        "host": {"type": "str", "required": True},
        "password": {"type": "str", "no_log": True},
        "plugin": {"type": "str", "choices": ["unix_socket"]},
        "tls": {"type": "bool", "default": False},
        "grants": {"type": "dict", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "accounts": {"type": "list", "elements": "dict", "options": one, "required": True},
            "schemas": {"type": "list", "elements": "str", "default": []},
            "socket": {"type": "path", "default": "/run/mysqld/mysqld.sock"},
        },
        supports_check_mode=True,
    )
    if not HAS_PYMYSQL:
        module.fail_json(msg="python3-pymysql is not installed on this host")
    try:
        module.exit_json(**run(module))
    except (ValueError, pymysql.MySQLError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
