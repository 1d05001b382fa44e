# SPDX-License-Identifier: Apache-2.0
"""The fleet: which machines exist, how to reach them, and where their secrets are.

A substrate exports a document `fleet/1` (addresses, pinned host keys, references to secrets, no values) and
the values as a secret output. The control host has both as root-only files instead of a Pulumi state.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from infra.spec import CHECKOUT, Platform, load
from infra.spec.types import Frozen

CONTROL_DIRECTORY = Path("/etc/perennial/control")
STATE_DIRECTORY = CHECKOUT / ".state"
CONTROL_USER = "ops"


class FleetError(Exception):
    """The fleet cannot be read; the message says what, where and the next command."""


class FleetKeyError(FleetError):
    """The secrets cannot be decrypted."""

    exit_code = 7


class FleetHost(Frozen):
    """How one machine is reached; `host_key` is its public SSH host key."""

    address: str
    user: str
    port: Annotated[int, Field(ge=1, le=65535)]
    host_key: str


class SecretReference(Frozen):
    """Where a secret's value can be had."""

    kind: str
    ref: str


class FleetDocument(Frozen):
    """The document `fleet/1`."""

    schema_: Literal["fleet/1"] = Field(alias="schema")
    environment: str
    substrate: str
    capabilities: list[str]
    hosts: dict[str, FleetHost]
    secrets: dict[str, SecretReference]
    next: str = ""


@dataclass(frozen=True)
class Fleet:
    """A platform, the machines that carry it, and the means to reach them; secrets never show in its repr."""

    platform: Platform
    document: FleetDocument
    key_file: Path
    known_hosts: Path
    secret_values: dict[str, dict[str, str]] = field(repr=False)

    def secret(self, name: str) -> dict[str, str]:
        """Return a secret (`value`; `private_key`, `public_key`; `certificate`, `key`)."""
        try:
            return self.secret_values[name]
        except KeyError as error:
            raise FleetError(f"no value for secret {name!r} here; next: perennial secret list") from error


def on_control_host() -> bool:
    """Tell whether this machine is a control host, which reads files instead of a Pulumi state."""
    return (CONTROL_DIRECTORY / "fleet.json").exists()


@cache
def read_fleet(environment: str) -> Fleet:
    """Return the fleet of `environment`, read once a process.

    Raises SpecError for a bad description and FleetError where the machines are not known or do not match it.
    """
    platform = load(environment)
    document, secrets = _from_files(environment) if on_control_host() else _from_pulumi(platform)
    missing = [name for name in platform.hosts if name not in document.hosts]
    if missing:
        raise FleetError(
            f"not provisioned in {environment}: {', '.join(missing)}; next: make up ENV={environment}"
        )
    directory = CONTROL_DIRECTORY / "ssh" if on_control_host() else STATE_DIRECTORY / environment / "ssh"
    own = platform.environment.ssh_key_file
    if own is not None and not on_control_host():
        key_file = _own_key(own, environment)
    else:
        key = secrets["ssh-control" if on_control_host() else "ssh-operator"]["private_key"]
        key_file = _write_private(directory / "id_ed25519", key)
    lines = [f"{_known_name(host)} {host.host_key}\n" for _, host in sorted(document.hosts.items())]
    known_hosts = _write_private(directory / "known_hosts", "".join(lines))
    return Fleet(platform, document, key_file, known_hosts, secrets)


def _own_key(path: str, environment: str) -> Path:
    """Return the operator's own key file, which stays where it is and is never copied."""
    file = Path(path).expanduser()
    if not file.is_file():
        where = f"inventories/{environment}.yml: ssh_key_file"
        raise FleetError(f"{where}: no file {file}; next: name your private key there, or ssh-keygen")
    return file


def _known_name(host: FleetHost) -> str:
    return host.address if host.port == 22 else f"[{host.address}]:{host.port}"


def parse_document(text: str, origin: str) -> FleetDocument:
    """Return a checked fleet document; raise FleetError naming `origin` and the key that is wrong."""
    try:
        return FleetDocument.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FleetError(f"{origin}: {where}: {first['msg']}; next: make up") from error


def _from_files(environment: str) -> tuple[FleetDocument, dict[str, dict[str, str]]]:
    document = parse_document((CONTROL_DIRECTORY / "fleet.json").read_text("utf-8"), "fleet.json")
    if document.environment != environment:
        raise FleetError(f"this control host serves {document.environment!r}, not {environment!r}")
    # whatever account an operator comes in by, the control host's key is authorised for this one (role base)
    hosts = {name: host.model_copy(update={"user": CONTROL_USER}) for name, host in document.hosts.items()}
    return document.model_copy(update={"hosts": hosts}), _secrets_from_file(
        CONTROL_DIRECTORY / "secrets.json"
    )


def _secrets_from_file(path: Path) -> dict[str, dict[str, str]]:
    try:
        values: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        # the error's own text could quote what the file holds
        problem = f"{path}: cannot be read ({type(error).__name__})"
        raise FleetError(f"{problem}; next, on the operator's machine: make converge") from None
    return values


def _from_pulumi(platform: Platform) -> tuple[FleetDocument, dict[str, dict[str, str]]]:
    outputs = stack_outputs(platform.environment.substrate, platform.name)
    if "fleet" not in outputs:
        raise FleetError(f"{platform.name} has no machines yet; next: make up ENV={platform.name}")
    document = parse_document(json.dumps(outputs["fleet"]), f"stack {platform.name}, output fleet")
    secrets = outputs.get("secrets")
    if not isinstance(secrets, dict):  # Pulumi answers null, and exit 0, to a wrong passphrase
        raise FleetKeyError(
            f"the passphrase does not open the secrets of {platform.name}; next: perennial doctor"
        )
    return document, secrets


def stack_outputs(substrate: str, environment: str) -> dict[str, Any]:
    """Return all outputs of a stack with secret values; raise FleetError where the stack cannot be read."""
    program = CHECKOUT / ".tools" / "bin" / "pulumi"
    command = [str(program), "--cwd", str(CHECKOUT / "infra" / substrate), "--stack", environment]
    command += ["stack", "output", "--json", "--show-secrets"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    except FileNotFoundError as error:
        raise FleetError("the Pulumi CLI is not set up; next: make setup") from error
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise FleetError(f"cannot read the state of {environment}: {last}; next: make up ENV={environment}")
    outputs: dict[str, Any] = json.loads(result.stdout)
    return outputs


def _write_private(path: Path, text: str) -> Path:
    """Write a 0600 file only where it differs, without a moment of wider access."""
    if path.exists() and path.read_text("utf-8") == text:
        return path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
    return path
