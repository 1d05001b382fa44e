# SPDX-License-Identifier: Apache-2.0
"""The edge's configurations: Debian 13's daemons accept them, and they say what the platform's data says."""

from __future__ import annotations

import copy
import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ruamel.yaml import YAML

from tests.templates.rendering import ROLES, render, role_variables, variables_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.templates.debian13 import Tools

EDGES = ("edge-1", "edge-2")


def certificate(folder: Path) -> None:
    """Write one self-signed certificate under every name that HAProxy reads."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
    crt = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = crt + key.private_bytes(*form)
    for file, content in {"ca.crt": crt, "host.pem": pem, "site-community.pem": pem}.items():
        (folder / file).write_bytes(content)


def judge(tools: Tools, folder: Path, text: str, command: list[str]) -> tuple[int, str]:
    """Let a daemon check `text`; return its exit code and what it said."""
    (folder / "tls").mkdir(exist_ok=True)
    certificate(folder / "tls")
    (folder / "configuration").write_text(text)
    mounts = {
        folder / "configuration": "/etc/configuration",
        folder / "tls": "/etc/perennial/tls",
        ROLES / "edge/files": "/usr/local/lib/perennial",
    }
    result = tools.run([*command, "/etc/configuration"], mounts=mounts)
    return result.returncode, result.stdout + result.stderr


CHECKS = {
    "haproxy.cfg.j2": ["haproxy", "-c", "-f"],
    "keepalived.conf.j2": ["keepalived", "-t", "-f"],
    "default.vcl.j2": ["varnishd", "-j", "none", "-C", "-f"],
}
BREAKS = {
    "haproxy.cfg.j2": ("verify required", "verify requierd"),
    "keepalived.conf.j2": ("virtual_router_id", "virtual_rooter_id"),
    "default.vcl.j2": ("return (hash);", "return (hahs);"),
}


@pytest.mark.parametrize("host", EDGES)
@pytest.mark.parametrize("template", CHECKS)
def test_the_daemon_accepts_its_configuration(
    debian13_tools: Tools, tmp_path: Path, host: str, template: str
) -> None:
    """The same check as `validate:` in the role, before any host is touched; warnings count."""
    code, said = judge(
        debian13_tools, tmp_path, render("edge", template, variables_of(host)), CHECKS[template]
    )
    assert code == 0, said
    if template == "haproxy.cfg.j2":
        assert "WARNING" not in said, said


@pytest.mark.parametrize("template", CHECKS)
def test_the_check_refuses_a_broken_configuration(
    debian13_tools: Tools, tmp_path: Path, template: str
) -> None:
    """A check that accepts everything shows nothing."""
    right, wrong = BREAKS[template]
    text = render("edge", template, variables_of("edge-1"))
    assert right in text
    code, _ = judge(debian13_tools, tmp_path, text.replace(right, wrong), CHECKS[template])
    assert code != 0


def changed(host: str, **keys: Any) -> dict[str, Any]:
    """Return what `host` sees, with parts of `perennial` replaced."""
    variables = copy.deepcopy(variables_of(host))
    for key, value in keys.items():
        variables["perennial"][key] = value
    return variables


def test_every_application_host_is_verified_by_its_name() -> None:
    """Encryption without a verified name would take any host of the authority for the application."""
    variables = variables_of("edge-1")
    text = render("edge", "haproxy.cfg.j2", variables)
    for host in variables["perennial"]["pools"]["app"]:
        line = next(line for line in text.splitlines() if f" {host['address']}:8443 " in line)
        assert f"sni str({host['fqdn']})" in line
        assert f"verifyhost {host['fqdn']}" in line
        assert f"check-sni {host['fqdn']}" in line


def test_a_further_application_host_enters_the_pool() -> None:
    """Counts are data: one more line in the inventory is one more server."""
    pools = copy.deepcopy(variables_of("edge-1")["perennial"]["pools"])
    pools["app"].append({"name": "app-3", "address": "10.87.0.23", "fqdn": "app-3.lab.internal"})
    text = render("edge", "haproxy.cfg.j2", changed("edge-1", pools=pools))
    assert "server app-3 10.87.0.23:8443" in text


def test_only_a_disposable_environment_exempts_its_operators_from_the_limits() -> None:
    """A load generator's exemption must not reach production by default."""
    environment = variables_of("edge-1")["perennial"]["environment"]
    acl = re.compile(r"acl exempt src -m ip 127\.0\.0\.0/8(.*)")
    disposable = render("edge", "haproxy.cfg.j2", variables_of("edge-1"))
    lasting = changed("edge-1", environment={**environment, "disposable": False})
    for text, expected in ((disposable, "10.87.0.1"), (render("edge", "haproxy.cfg.j2", lasting), "")):
        found = acl.search(text)
        assert found is not None
        assert found[1].strip() == expected


def test_two_sites_keep_their_names_certificates_and_keys(debian13_tools: Tools, tmp_path: Path) -> None:
    """Certificates, cache keys and cursors are by site from the first day; an alias is redirected."""
    first = variables_of("edge-1")["perennial"]["sites"][0]
    sites = [
        first,
        {**first, "id": "second", "domain": "second.lab.test", "aliases": ["www.second.lab.test"]},
    ]
    variables = changed("edge-1", sites=sites)
    text = render("edge", "haproxy.cfg.j2", variables)
    assert "crt /etc/perennial/tls/site-second.pem" in text
    assert (
        "redirect prefix https://second.lab.test code 308 if { var(txn.host) -m str www.second.lab.test }"
        in text
    )
    vcl = render("edge", "default.vcl.j2", variables)
    assert '" s-second"' in vcl
    assert judge(debian13_tools, tmp_path, vcl, CHECKS["default.vcl.j2"])[0] == 0
    agent = json.loads(render("edge", "cache-agent.json.j2", variables))
    assert [site["id"] for site in agent["sites"]] == ["community", "second"]


def test_each_edge_names_the_other_one_as_its_peer() -> None:
    """Unicast VRRP needs both sides; an edge that talks to itself would stay master beside the other one."""
    for host, peer in (("10.87.0.11", "10.87.0.12"), ("10.87.0.12", "10.87.0.11")):
        name = f"edge-{host[-1]}"
        text = render("edge", "keepalived.conf.j2", variables_of(name))
        assert f"unicast_src_ip {host}\n" in text
        block = re.search(r"unicast_peer \{([^}]*)\}", text)
        assert block is not None
        assert block[1].split() == [peer]


def test_a_fetch_cannot_outlive_the_last_repetition_of_a_ban() -> None:
    """The agent's last repetition comes after 35 s: an answer must not be awaited as long."""
    vcl = render("edge", "default.vcl.j2", variables_of("edge-1"))
    agent = (ROLES / "edge/files/cache_bans.py").read_text()
    last = re.search(r"REPEAT_SECONDS = \(.*, ([\d.]+)\)", agent)
    wait = re.search(r"\.first_byte_timeout = (\d+)s", vcl)
    assert last is not None
    assert wait is not None
    assert float(wait[1]) + 2 < float(last[1])


def test_defaults_are_those_of_the_argument_specification() -> None:
    """The specification is the source; two lists by hand would disagree one day."""
    spec = YAML(typ="safe").load((ROLES / "edge/meta/argument_specs.yml").read_text())
    options = spec["argument_specs"]["main"]["options"]
    wanted = {name: option["default"] for name, option in options.items() if "default" in option}
    assert YAML(typ="safe").load((ROLES / "edge/defaults/main.yml").read_text()) == wanted


def test_every_unit_file_is_read_by_some_daemon() -> None:
    """A file that edge_settle does not know of would change without any effect."""
    variables = role_variables("edge")
    known = {
        file
        for unit in variables["edge_units_always"] + variables["edge_units_vrrp"]
        for file in unit["start"]
    }
    unread = {entry["dest"] for entry in variables["edge_files"]} - known
    assert unread == {"/etc/perennial/edge-units.json"}
