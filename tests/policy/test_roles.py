# SPDX-License-Identifier: Apache-2.0
"""Rules over roles and the playbook: complete, few tasks, one owner a path, validated, honest."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from infra.spec import CHECKOUT, load
from tests.policy.repository import RoleTask, data, destinations, files, role_variables, roles, tasks, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PARTS = (
    "README.md", "meta/argument_specs.yml", "meta/main.yml", "defaults/main.yml", "tasks/main.yml",
    "molecule/default/converge.yml", "molecule/default/verify.yml",
)  # fmt: skip
WRITERS = {"template", "copy"}
ON_EVERY_HOST = ("base", "tls", "firewall", "schedule")
# no-op budget: 90 s for the whole fleet at 0.05 s a task and host under Mitogen, with room for slow modules
MOST_TASKS = 40
# configuration whose error stops a daemon: the checker must see it before it is in place
VALIDATED = re.compile(
    r"^/etc/(haproxy/haproxy\.cfg|nginx/nginx\.conf|varnish/[^/]*\.vcl|keepalived/keepalived\.conf"
    r"|nftables\.conf|php/8\.4/fpm/php-fpm\.conf|sudoers\.d/.*|rsyslog\.conf|ssh/sshd_config\.d/.*"
    r"|prometheus/(prometheus|alertmanager|rules)[^/]*\.yml)$"
)
KERNEL_SETTING = re.compile(r"^-?((?:fs|kernel|net|user|vm)\.[a-z0-9_.]+) *=", re.MULTILINE)
POOL_DAEMONS = re.compile(r"haproxy|varnish|nginx|php8\.4-fpm|mariadb")
EXPORTER = re.compile(r"exporter")
NOT_A_TASK = {"import_tasks", "include_tasks", "meta", ""}


def incomplete(root: Path) -> Iterator[str]:
    """Yield parts that a role lacks."""
    for role in roles(root):
        yield from (
            f"roles/{role}: {part} is missing"
            for part in PARTS
            if not (root / "roles" / role / part).exists()
        )


def plays(root: Path) -> Iterator[str]:
    """Yield plays that touch disabled hosts or go on after a failure, and roles that no play applies."""
    applied = set()
    for play in data(root / "site.yml") or []:
        title = play.get("name", "a play without name")
        if "!disabled" not in str(play.get("hosts")):
            yield f"site.yml: {title}: hosts lack !disabled"
        if play.get("any_errors_fatal") is not True:
            yield f"site.yml: {title}: any_errors_fatal is not true"
        for entry in play.get("roles", []):
            role = entry["role"] if isinstance(entry, dict) else entry
            applied.add(role)
            if not isinstance(entry, dict) or role not in str(entry.get("tags")):
                yield f"site.yml: {title}: role {role} has no tag of its name"
        for task in [*play.get("tasks", []), *play.get("pre_tasks", []), *play.get("post_tasks", [])]:
            included = (
                task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role") or {}
            )
            applied.add(included.get("name", ""))
    yield from (f"site.yml: no play applies role {role}" for role in roles(root) if role not in applied)


def counted(root: Path) -> dict[str, int]:
    """Return role → tasks that a no-op run meets at most, the check of its arguments included."""
    found: dict[str, int] = defaultdict(lambda: 1)
    for task in tasks(root, ("tasks",)):
        found[task.role] += task.module not in NOT_A_TASK
    return dict(found)


def crowded(root: Path) -> Iterator[str]:
    """Yield hosts of the shipped environments that meet more tasks than the budget."""
    count = counted(root)
    for environment in ("lab", "test"):
        for host in load(environment).hosts.values():
            carried = {*ON_EVERY_HOST, *host.roles}
            total = sum(count.get(role, 0) for role in carried)
            if total > MOST_TASKS:
                parts = ", ".join(f"{role} {count.get(role, 0)}" for role in sorted(carried))
                yield f"{environment} {host.name}: {total} tasks, at most {MOST_TASKS} ({parts})"


def two_owners(root: Path) -> Iterator[str]:
    """Yield paths that more than one role writes."""
    owners: dict[str, set[str]] = defaultdict(set)
    for task in tasks(root, ("tasks",)):
        linked = (
            task.module == "file"
            and isinstance(task.arguments, dict)
            and task.arguments.get("state") == "link"
        )
        if task.module in WRITERS or linked:
            for path in destinations(root, task):
                owners[path].add(task.role)
    for path, found in sorted(owners.items()):
        if len(found) > 1:
            yield f"{path}: written by {', '.join(sorted(found))}"


def set_twice(root: Path) -> Iterator[str]:
    """Yield kernel settings that more than one role sets: which one counts is decided by file names."""
    owners: dict[str, set[str]] = defaultdict(set)
    for path in files(root):
        parts = path.relative_to(root).parts
        if parts[0] == "roles" and parts[2:3] in {("templates",), ("files",)}:
            for setting in KERNEL_SETTING.findall(text(path)):
                owners[setting].add(parts[1])
    for setting, found in sorted(owners.items()):
        if len(found) > 1:
            yield f"{setting}: set by {', '.join(sorted(found))}"


def unvalidated(root: Path) -> Iterator[str]:
    """Yield daemon configuration that is written without being checked first."""
    for task in tasks(root, ("tasks",)):
        if task.module not in WRITERS or _validates(root, task):
            continue
        for path in destinations(root, task):
            if VALIDATED.match(path):
                yield f"{task.file}: {task.name}: {path} has no validate"


def _validates(root: Path, task: RoleTask) -> bool:
    """Tell whether a task validates; a loop whose items bring the command counts where each item does."""
    if not isinstance(task.arguments, dict) or "validate" not in task.arguments:
        return False
    if "item" not in str(task.arguments["validate"]):
        return True
    loop = task.task.get("loop")
    items = role_variables(root, task.role).get(str(loop).strip("{} "), []) if isinstance(loop, str) else loop
    needing = [
        item for item in items or [] if isinstance(item, dict) and VALIDATED.match(str(item.get("dest")))
    ]
    return all("validate" in item for item in needing)


def restarts(root: Path) -> Iterator[str]:
    """Yield restarts of pool members: only the rolling engine does that, one at a time."""
    for task in tasks(root):
        if task.module not in {"systemd_service", "systemd", "service"} or not isinstance(
            task.arguments, dict
        ):
            continue
        unit = str(task.arguments.get("name", ""))
        restarted = task.arguments.get("state") == "restarted"
        if restarted and POOL_DAEMONS.search(unit) and not EXPORTER.search(unit):
            yield f"{task.file}: {task.name}: restarts {unit}"


def unnamed_modules(root: Path) -> Iterator[str]:
    """Yield tasks without name or with a module of a collection that is not there."""
    for task in tasks(root):
        if not task.name:
            yield f"{task.file}: a task has no name"
        if task.module.startswith(("community.", "ansible.posix")):
            yield f"{task.file}: {task.name}: {task.module} is not in ansible-core"


def secrets_shown(root: Path) -> Iterator[str]:
    """Yield tasks that look a secret up and would print it."""
    for task in tasks(root):
        uses = "perennial_secret" in str(task.task)
        if uses and task.task.get("no_log") is not True:
            yield f"{task.file}: {task.name}: uses a secret without no_log"


TASKS = "roles/a/tasks/main.yml"
OTHER = "roles/b/tasks/main.yml"
WRITE = "- name: Write\n  ansible.builtin.template:\n    src: x\n    dest: {}\n"
RULES: dict[Callable[[Path], Iterator[str]], tuple[dict[str, str], str]] = {
    incomplete: ({TASKS: "[]\n"}, "roles/a: README.md is missing"),
    plays: ({"site.yml": "- name: All\n  hosts: all\n  roles: [a]\n", TASKS: "[]\n"}, "hosts lack !disabled"),
    crowded: ({"roles/base/tasks/main.yml": WRITE.format("/x") * 41}, "tasks, at most 40"),
    two_owners: ({TASKS: WRITE.format("/etc/x"), OTHER: WRITE.format("/etc/x")}, "/etc/x: written by a, b"),
    set_twice: (
        {"roles/a/templates/x.j2": "net.core.x = 1\n", "roles/b/files/y.conf": "-net.core.x = 2\n"},
        "net.core.x: set by a, b",
    ),
    unvalidated: ({TASKS: WRITE.format("/etc/nginx/nginx.conf")}, "has no validate"),
    restarts: (
        {
            "roles/a/handlers/main.yml": "- name: R\n  ansible.builtin.systemd_service:\n"
            "    {name: haproxy, state: restarted}\n"
        },
        "restarts haproxy",
    ),
    unnamed_modules: ({TASKS: "- community.general.ufw: {}\n"}, "a task has no name"),
    secrets_shown: (
        {
            TASKS: "- name: S\n  ansible.builtin.copy:\n"
            "    {content: \"{{ lookup('perennial_secret', 'x') }}\", dest: /x}\n"
        },
        "uses a secret without no_log",
    ),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_roles_keep_their_rules(rule: Callable[[Path], Iterator[str]]) -> None:
    """Design sections 5, 8 and 10: what makes a converge safe to run at any time."""
    found = list(rule(CHECKOUT))
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_each_rule_over_roles_has_been_seen_red(
    rule: Callable[[Path], Iterator[str]], tmp_path: Path
) -> None:
    """The positive control of each rule."""
    content, message = RULES[rule]
    for short, written in content.items():
        (tmp_path / short).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / short).write_text(written)
    assert any(message in line for line in rule(tmp_path)), list(rule(tmp_path))


def test_every_service_has_a_probe_and_an_owner_with_a_contact() -> None:
    """Something that listens and that nobody watches is found by its users."""
    platform = load("lab")
    for service in platform.services.values():
        assert service.probe
        assert platform.teams[service.owner].contact


def test_the_configuration_of_ansible_stops_at_the_first_failure() -> None:
    """A play without the word must not go on with half a tier."""
    settings = text(CHECKOUT / "ansible.cfg")
    assert "any_errors_fatal = True" in settings
    assert "force_handlers = True" in settings
