#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: the systemd units of a host's scheduled tasks: missing ones are made, others removed."""

from __future__ import annotations

import json
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: task_units
short_description: systemd services and timers of scheduled tasks
description:
  - Makes a service, a timer, a description for the runner and a metrics link for each task.
  - Units of tasks no longer listed are stopped and removed, so that the list is the whole truth.
  - Starts the timers. Looks at files, links and timers on every run; check mode is exact.
options:
  tasks: {description: as in C(perennial.tasks), type: list, elements: dict, required: true}
  environment: {description: name of the environment, type: str, required: true}
  host: {description: name of the host, type: str, required: true}
  writes: {description: user to paths that its tasks may write to, type: dict, default: {}}
"""

HEADER = "# Made by role schedule from inventories/platform/schedule.yml; edit that, then: make converge\n"
UNITS = Path("/etc/systemd/system")
WANTS = UNITS / "timers.target.wants"
TASKS = Path("/etc/perennial/tasks")
METRICS = Path("/var/lib/perennial/metrics")
STATE = "/var/lib/perennial/tasks"
REPORTS = "/var/lib/perennial/reports"
RUNNER = "/usr/local/lib/perennial/task_runner.py"
# the runner ends the command at its deadline and records that; systemd steps in only where the runner hangs
RUNNER_MARGIN_SECONDS = 30

SERVICE = Template(
    HEADER
    + """[Unit]
Description=$title ($plan)
After=network.target

[Service]
Type=oneshot
User=$user
ExecStart=/usr/bin/python3 -sE $runner --task $tasks/$unit.json
TimeoutStartSec=$timeout
TimeoutStopSec=20
SuccessExitStatus=8
SyslogIdentifier=$unit
StateDirectory=perennial/tasks/$unit perennial/reports/$id
StateDirectoryMode=0755
UMask=0027
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
$own"""
)

TIMER = Template(
    HEADER
    + """[Unit]
Description=$title ($plan)

[Timer]
OnCalendar=$calendar
Persistent=true
AccuracySec=1s
RandomizedDelaySec=$delay

[Install]
WantedBy=timers.target
"""
)

# what the runner needs; the rest of a task's description is not its concern
RUNNER_KEYS = (
    "id", "unit", "plan", "site", "title", "owner", "user", "command", "deadline_seconds", "period_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What must be on the host: texts of files, targets of links."""

    files: dict[Path, str]
    links: dict[Path, str]


def service(task: dict[str, Any], writes: dict[str, list[str]]) -> str:
    """Return the service unit of a task; only root's tasks keep capabilities."""
    own = "".join(f"ReadWritePaths=-{path}\n" for path in writes.get(task["user"], []))
    if task["user"] != "root":
        own += "CapabilityBoundingSet=\n"
    return SERVICE.substitute(
        {key: str(task[key]).replace("%", "%%") for key in ("title", "plan", "user", "unit", "id")},
        runner=RUNNER,
        tasks=TASKS,
        timeout=task["deadline_seconds"] + RUNNER_MARGIN_SECONDS,
        own=own,
    )


def timer(task: dict[str, Any]) -> str:
    """Return the timer unit of a task."""
    return TIMER.substitute(
        title=task["title"].replace("%", "%%"),
        plan=task["plan"],
        calendar=task["calendar"],
        delay=task["randomized_delay_seconds"],
    )


def description(task: dict[str, Any], environment: str, host: str) -> str:
    """Return what the runner reads about a task."""
    places = {"state_directory": f"{STATE}/{task['unit']}", "reports_directory": f"{REPORTS}/{task['id']}"}
    made = {key: task[key] for key in RUNNER_KEYS} | places | {"environment": environment, "host": host}
    return json.dumps(made, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def wanted(tasks: list[dict[str, Any]], environment: str, host: str, writes: dict[str, list[str]]) -> Wanted:
    """Return all files and links of `tasks`."""
    files: dict[Path, str] = {}
    links: dict[Path, str] = {}
    for task in tasks:
        unit = task["unit"]
        files[TASKS / f"{unit}.json"] = description(task, environment, host)
        files[UNITS / f"{unit}.service"] = service(task, writes)
        files[UNITS / f"{unit}.timer"] = timer(task)
        links[WANTS / f"{unit}.timer"] = str(UNITS / f"{unit}.timer")
        links[METRICS / f"task_{unit}.prom"] = f"{STATE}/{unit}/metrics.prom"
    return Wanted(files, links)


def owned() -> set[Path]:
    """Return the files and links on this host that earlier runs made."""
    units = {path for kind in ("service", "timer") for path in UNITS.glob(f"perennial-*.{kind}")}
    ours = {path for path in units if path.is_file() and path.read_text("utf-8").startswith(HEADER)}
    links = {WANTS / path.name for path in ours if path.suffix == ".timer"}
    links |= {path for path in METRICS.glob("task_perennial-*.prom") if path.is_symlink()}
    return ours | {link for link in links if link.is_symlink()} | set(TASKS.glob("perennial-*.json"))


def differing(want: Wanted) -> list[Path]:
    """Return the files and links that are missing or not as wanted, sorted."""
    found = [path for path, text in want.files.items() if not same_file(path, text)]
    found += [
        path
        for path, target in want.links.items()
        if not (path.is_symlink() and str(path.readlink()) == target)
    ]
    found += [
        Path(target)
        for path, target in want.links.items()
        if path.parent == METRICS and not Path(target).is_file()
    ]
    return sorted(found)


def same_file(path: Path, text: str) -> bool:
    """Tell whether `path` is a plain root-owned file of mode 0644 with this text."""
    if path.is_symlink() or not path.is_file():
        return False
    status = path.stat()
    return (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o644, 0, 0) and path.read_text(
        "utf-8"
    ) == text


def stopped(timers: list[str]) -> list[str]:
    """Return the timers that are not running; systemctl answers for none with an error, and no lines."""
    result = subprocess.run(
        ["systemctl", "is-active", "--", *timers], capture_output=True, text=True, check=False
    )
    return [name for name, state in zip(timers, result.stdout.split(), strict=False) if state != "active"]


def run(module: AnsibleModule, *command: str) -> None:
    """Run a command; a failure ends the module with the command's words."""
    code, _, errors = module.run_command(list(command))
    if code != 0:
        module.fail_json(msg=f"{' '.join(command)}: {errors.strip()}")


def apply(module: AnsibleModule, want: Wanted, changed: list[Path], strays: list[Path]) -> None:
    """Bring the host to `want`: strays go, files and links come, metrics exist from the start."""
    gone = [path.name for path in strays if path.parent == UNITS]
    if gone:
        run(module, "systemctl", "stop", *sorted(gone, key=lambda name: not name.endswith(".timer")))
    for path in strays:
        path.unlink()
    for path in changed:
        if path in want.files:
            put_file(path, want.files[path])
        elif path in want.links:
            put_link(path, want.links[path])
    if any(UNITS in path.parents for path in [*changed, *strays]):
        run(module, "systemctl", "daemon-reload")
    for unit in sorted({unit_of(path) for path in changed}):
        run(module, "/usr/bin/python3", "-sE", RUNNER, "--task", f"{TASKS}/{unit}.json", "--register")


def unit_of(path: Path) -> str:
    """Return the unit that a file or link belongs to."""
    if path.name == "metrics.prom":
        return path.parent.name
    return path.stem.removeprefix("task_")


def put_file(path: Path, text: str) -> None:
    """Write a root-owned file of mode 0644 in one step."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, "utf-8")
    temporary.chmod(0o644)
    temporary.replace(path)


def put_link(path: Path, target: str) -> None:
    """Make a symbolic link in one step."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)


def diff(want: Wanted, changed: list[Path], strays: list[Path]) -> list[dict[str, str]]:
    """Return before and after of every text that differs."""
    found = []
    for path in [*changed, *strays]:
        before = path.read_text("utf-8") if path.is_file() else ""
        after = want.files.get(path, before if path in want.links else "")
        found.append(
            {"before_header": str(path), "after_header": str(path), "before": before, "after": after}
        )
    return found


def missing_users(tasks: list[dict[str, Any]]) -> list[str]:
    """Return the users that tasks run as and that this host does not have."""
    return sorted({task["user"] for task in tasks} - {entry.pw_name for entry in pwd.getpwall()})


def main() -> None:
    """Compare, then change unless it is check mode."""
    module = AnsibleModule(
        argument_spec={
            "tasks": {"type": "list", "elements": "dict", "required": True},
            "environment": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "writes": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    tasks = module.params["tasks"]
    want = wanted(tasks, module.params["environment"], module.params["host"], module.params["writes"])
    changed = differing(want)
    strays = sorted(owned() - set(want.files) - set(want.links))
    shown = diff(want, changed, strays) if module._diff else []  # noqa: SLF001 - how modules learn of --diff
    missing = missing_users(tasks)
    if missing and not module.check_mode:
        module.fail_json(
            msg=f"no user {', '.join(missing)} on this host; the role that makes it comes before schedule"
        )
    if not module.check_mode:
        apply(module, want, changed, strays)
    idle = stopped([f"{task['unit']}.timer" for task in tasks])
    restarted = [path.name for path in changed if path.suffix == ".timer" and path.parent == UNITS]
    if (idle or restarted) and not module.check_mode:
        run(module, "systemctl", "restart", *sorted({*idle, *restarted}))
    changes = [
        *map(str, changed),
        *(f"{path} removed" for path in strays),
        *(f"{name} started" for name in idle),
    ]
    module.exit_json(changed=bool(changes), changes=changes, diff=shown)


if __name__ == "__main__":
    main()
