# SPDX-License-Identifier: Apache-2.0
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
    "a sick agent is overlooked": (r"!std\.healthy\(agent\)", "!std.healthy(agent) && false", "agent-sick"),
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


def run_cases(tools: Tools, folder: Path, cases: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Run cases in Varnish; return the log of each one that failed.

    Args:
        tools: the Debian 13 tree.
        folder: where cases and rules are put for it.
        cases: name of the run → (case in tests/vtc, VCL to run it against).
    """
    for file in ("prepare", "agent.py"):
        (folder / file).write_bytes((CASES / file).read_bytes())
    for name, (case, vcl) in cases.items():
        text = (CASES / f"{case}.vtc").read_text()
        (folder / f"{name}.vtc").write_text(
            text.replace("${prepare} ${tmpdir}", f"${{prepare}} ${{tmpdir}} {name}")
        )
        (folder / f"{name}.vcl").write_text(vcl)
    folder.chmod(0o755)
    macros = ("-Dprepare=sh /vtc/prepare", "-Dagent=/vtc/agent.py", f"-Dhost={DOMAIN}", "-Dcc=%D -O0")
    command = ["varnishtest", "-j", "4", "-k", "-t", "60", *macros, *(f"/vtc/{name}.vtc" for name in cases)]
    result = tools.run(command, mounts={folder: "/vtc"}, user="nobody:nogroup", seconds=240)
    counted = re.search(r"(\d+) tests failed, 0 tests skipped, (\d+) tests passed", result.stderr)
    assert counted is not None, result.stderr
    assert int(counted[1]) + int(counted[2]) == len(cases)
    output = result.stdout
    return {name: log for name in cases if (log := failure(output, name))}


def failure(output: str, name: str) -> str:
    """Return the reason that varnishtest gives for a failed case, or an empty text."""
    if f"TEST /vtc/{name}.vtc FAILED" not in output:
        return ""
    log = output[: output.index(f"TEST /vtc/{name}.vtc FAILED")]
    reasons = re.findall(r"^---- .*$", log[log.index(f"TEST /vtc/{name}.vtc starting") :], re.MULTILINE)
    return "; ".join(reasons) or "no reason given"


@pytest.fixture(scope="module")
def vcl() -> str:
    """Return the VCL of an edge of the lab."""
    return render("edge", "default.vcl.j2", variables_of("edge-1"))


@pytest.mark.timeout(300)
def test_every_cache_rule_holds(debian13_tools: Tools, vcl: str, tmp_path: Path) -> None:
    """A page cache that is wrong once shows somebody else's page; each rule has its case."""
    names = sorted(file.stem for file in CASES.glob("*.vtc"))
    assert len(names) >= 25
    assert run_cases(debian13_tools, tmp_path, {name: (name, vcl) for name in names}) == {}


@pytest.mark.timeout(300)
def test_each_broken_rule_turns_its_case_red(debian13_tools: Tools, vcl: str, tmp_path: Path) -> None:
    """A case that stays green without its rule shows nothing."""
    mutants = {}
    for number, (rule, (pattern, replacement, case)) in enumerate(MUTATIONS.items()):
        mutant, count = re.subn(pattern, replacement, vcl)
        assert count, f"the rule moved: {rule}"
        mutants[f"mutant-{number}"] = (case, mutant)
    red = run_cases(debian13_tools, tmp_path, mutants)
    green = [rule for number, rule in enumerate(MUTATIONS) if "EXPECT" not in red.get(f"mutant-{number}", "")]
    assert green == [], red
