# SPDX-License-Identifier: Apache-2.0
"""The PHP of the app role: it parses, and it keeps the rules of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[2] / "roles/app/files"
PHP_FILES = sorted(
    path
    for path in FILES.rglob("*")
    if path.is_file() and (path.suffix == ".php" or path.name in {"wpctl", "languages"})
)
MAX_COLUMNS = 110
MAX_LINES = {"mu-plugins": 150}
MAX_LINES_ELSEWHERE = 220

GUARD = "defined( 'ABSPATH' ) || exit;"
FORBIDDEN = {
    "evaluates text as code": re.compile(r"\b(?:eval|create_function|assert)\s*\("),
    "debug output": re.compile(r"\b(?:var_dump|print_r|var_export|phpinfo)\s*\("),
    "starts a process": re.compile(r"\b(?:shell_exec|passthru|proc_open|popen|system)\s*\("),
    "ends with a closing tag": re.compile(r"\?>\s*\Z"),
    "indents with spaces": re.compile(r"^ {2,}\S", re.MULTILINE),
    "trailing space": re.compile(r"[ \t]+$", re.MULTILINE),
}
FUNCTION = re.compile(r"^\t?(?:(?:public|private|protected|final|static) )*function (\w+)", re.MULTILINE)


def rule_breaks(path: str, text: str) -> list[str]:
    """Name every rule that a PHP file breaks.

    Args:
        path: Path below roles/app/files, which decides the limits.
        text: The file's content.

    Returns:
        One short sentence for each break.
    """
    area = path.split("/", 1)[0]
    breaks = [why for why, pattern in FORBIDDEN.items() if pattern.search(text)]
    if "SPDX-License-Identifier: GPL-2.0-or-later" not in text[:400]:
        breaks.append("no SPDX line at the top")
    if area in {"mu-plugins", "theme"} and "languages" not in path and GUARD not in text:
        breaks.append("can be requested directly")
    if max(map(len, text.split("\n"))) > MAX_COLUMNS:
        breaks.append("line too long")
    if text.count("\n") > MAX_LINES.get(area, MAX_LINES_ELSEWHERE):
        breaks.append("file too long")
    breaks += [
        f"{match[1]} has no documentation"
        for match in FUNCTION.finditer(text)
        if not text[: match.start()].rstrip().endswith("*/")
    ]
    return breaks


@pytest.mark.parametrize("path", PHP_FILES, ids=lambda path: str(path.relative_to(FILES)))
def test_file_keeps_the_rules(path: Path) -> None:
    """A reader finds licence, purpose and limits in each file; none opens a hole by a request to it."""
    assert rule_breaks(str(path.relative_to(FILES)), path.read_text(encoding="utf-8")) == []


def test_rules_are_noticed_when_broken() -> None:
    """The positive control: a file that breaks every rule is red for every one."""
    bad = "<?php\nfunction bare() {\n  eval( $x ); \n\tvar_dump( 1 ); system( 'x' );\n}\n"
    bad += "// " + "x" * MAX_COLUMNS + "\n" * 200 + "?>\n"
    breaks = rule_breaks("mu-plugins/x.php", bad)
    assert set(FORBIDDEN) <= set(breaks)
    others = {"no SPDX line at the top", "can be requested directly", "line too long", "file too long"}
    assert others <= set(breaks)
    assert "bare has no documentation" in breaks


def test_pages_load_nothing_from_other_hosts() -> None:
    """Fonts, scripts or pictures from elsewhere tell visitors' addresses to third parties."""
    remote = re.compile(r"@import|url\(\s*['\"]?(?:https?:)?//|src=['\"](?:https?:)?//")
    for path in (FILES / "theme").rglob("*"):
        if path.is_file():
            assert not remote.search(path.read_text(encoding="utf-8")), path
    assert remote.search("@font-face { src: url(https://fonts.example/x.woff2) }")


def test_every_text_of_ours_has_its_chinese() -> None:
    """The platform is bilingual: a text without translation shows up in English on a Chinese page."""
    used: set[str] = set()
    single = re.compile(r"(?:__|_e|esc_html__|esc_html_e|esc_attr_e)\( '((?:[^'\\]|\\.)*)', 'perennial' \)")
    plural = re.compile(r"_n\( '([^']*)', '([^']*)', \$\w+, 'perennial' \)")
    for path in [*(FILES / "theme").rglob("*.php"), *(FILES / "mu-plugins").rglob("*.php")]:
        text = path.read_text(encoding="utf-8")
        used |= set(single.findall(text))
        used |= {f"{one}\\0{many}" for one, many in plural.findall(text)}
    table = (FILES / "theme/perennial/languages/zh_CN.l10n.php").read_text(encoding="utf-8")
    known = set(re.findall(r"^\t\t['\"](.*?)['\"]\s+=> '[^']+',$", table, re.MULTILINE))
    assert len(used) > 15
    assert used == known
