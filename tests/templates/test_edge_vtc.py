# SPDX-License-Identifier: GPL-3.0-or-later
"""The page cache's rules, case by case, in Debian 13's own Varnish; a broken rule turns its case red."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.templates.rendering import render, variables_of

if TYPE_CHECKING:
    from tests.templates.debian13 import Tools

CASES = Path(__file__).parents[1] / "vtc"
DOMAIN = "community.lab.test"

# rule → (pattern in the VCL, replacement, case that must turn red)
MUTATIONS = {
    "a login's cookie is overlooked": (r"wordpress_\(\?!test_cookie\)\|", "", "logged-in"),
    "Set-Cookie is stored": (r"beresp\.http\.Set-Cookie \|\| ", "", "set-cookie"),
    "private is stored": (r"\(\?:private\|no-store\|no-cache\)", "private-not", "private"),
    "an answer without keys is stored": (
        r"(nobody could ban it, so it is not stored\.\n\s*)call hit_for_miss;",
        r"\1",
        "no-keys",
    ),
    "Authorization is overlooked": (r"req\.http\.Authorization \|\| ", "", "authorization"),
    "any Host is answered": (r'return \(synth\(421, "Misdirected Request"\)\);', "", "host"),
    "a sick agent is overlooked": (r"!std\.healthy\(agent\)", "false", "agent-sick"),
    "made-up parameters are looked up": (
        r"(std\.querysort\(req\.url\);\s*\} else \{\s*)set [^;]*;",
        r"\1",
        "query-variants",
    ),
    "errors are stored": (r"beresp\.status >= 500", "beresp.status >= 900", "errors"),
    "stale is served for speed": (r"set req\.grace = 0s;", "set req.grace = 60s;", "no-stale-while-healthy"),
    "stale is never served": (r"return \(restart\);", "", "stale-on-error"),
    "keys leave the edge": (r"unset resp\.http\.X-Keys;", "", "hit"),
}


def run_cases(tools: Tools, folder: Path, vcl: str, names: list[str]) -> tuple[int, str]:
    """Run cases against `vcl`; return varnishtest's exit code and its output (logs of failed cases)."""
    for file in CASES.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "edge.vcl").write_text(vcl)
    folder.chmod(0o755)
    macros = ("-Dprepare=sh /vtc/prepare", "-Dagent=/vtc/agent.py", f"-Dhost={DOMAIN}", "-Dcc=%D -O0")
    files = [f"/vtc/{name}.vtc" for name in names]
    command = ["varnishtest", "-j", "4", "-k", "-t", "60", *macros, *files]
    result = tools.run(command, mounts={folder: "/vtc"}, user="nobody:nogroup", seconds=240)
    return result.returncode, result.stdout + result.stderr


@pytest.fixture(scope="module")
def vcl() -> str:
    """Return the VCL of an edge of the lab."""
    return render("edge", "default.vcl.j2", variables_of("edge-1"))


@pytest.mark.timeout(300)
def test_every_cache_rule_holds(debian13_tools: Tools, vcl: str, tmp_path: Path) -> None:
    """A page cache that is wrong once shows somebody else's page; each rule has its case."""
    names = sorted(file.stem for file in CASES.glob("*.vtc"))
    assert len(names) >= 25
    code, output = run_cases(debian13_tools, tmp_path, vcl, names)
    assert code == 0, "\n".join(line for line in output.splitlines() if re.match(r"#|---", line))[-6000:]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_rule_turns_its_case_red(debian13_tools: Tools, vcl: str, tmp_path: Path, name: str) -> None:
    """A case that stays green without its rule shows nothing."""
    pattern, replacement, case = MUTATIONS[name]
    mutant, count = re.subn(pattern, replacement, vcl)
    assert count, f"the rule moved: {pattern}"
    code, output = run_cases(debian13_tools, tmp_path, mutant, [case])
    assert code != 0, f"{case} is green although {name}"
    assert "expect" in output, output[-3000:]
