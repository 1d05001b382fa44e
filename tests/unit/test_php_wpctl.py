# SPDX-License-Identifier: Apache-2.0
"""wpctl and the endpoints, as far as they run without WordPress and without a database."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[2] / "roles/app/files"
TOKEN = "a-planted-token-of-the-tests"
USAGE = 64
WP_CLI_NAMES = [
    f"{group} {verb}"
    for group, verbs in {
        "core": "install,is-installed,version,update-db",
        "option": "get,update",
        "user": "create,list,get,update,delete,set-role,application-password create",
        "post": "create,update,delete,list,get",
        "comment": "create,approve,list",
        "term": "list,create",
        "media": "import",
        "cron": "event run,event list",
        "role": "list,create",
        "cap": "add",
        "rewrite": "structure,flush",
        "theme": "activate,list",
        "plugin": "list,activate",
        "db": "check",
        "perennial": "ensure,stats",
    }.items()
    for verb in verbs.split(",")
]


def run_wpctl(*words: str) -> subprocess.CompletedProcess[str]:
    """Run wpctl on this machine, where no site exists."""
    command = ["php", str(FILES / "wpctl/wpctl"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


def run_php(code: str) -> str:
    """Run PHP with wpctl's libraries loaded and give its output."""
    parts = ("failure", "args", "out", "site", "command", "input")
    loads = "".join(f"require '{FILES}/wpctl/lib/{part}.php';" for part in parts)
    script = f"namespace Perennial\\Wpctl; {loads} {code}"
    command = ["php", "-r", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["pots", "list"], 'Did you mean "post"?'),
        (["post", "lst"], 'Did you mean "list"?'),
        (["post", "list", "--formt=json"], 'Did you mean "format"?'),
        (["user", "create", "ann", "--role=member"], "Usage: wpctl user create <login> <email>"),
        (["user", "create", "ann", "a@b.test", "--user_pass=x"], "--prompt=user_pass"),
        (["post", "list", "-f"], "two dashes"),
        ([], "Commands: core, option"),
    ],
)
def test_wrong_command_lines_name_the_nearest_valid_form(words: list[str], hint: str) -> None:
    """Bad input gets what is wrong and the next command, with the code for usage, never a traceback."""
    result = run_wpctl(*words)
    assert result.returncode == USAGE
    assert hint in result.stderr
    assert "Stack trace" not in result.stderr + result.stdout


def test_a_password_on_the_command_line_is_not_repeated() -> None:
    """It already shows in the process list; the error message must not put it into logs too."""
    result = run_wpctl("user", "update", "ann", "--user_pass=planted-secret")
    assert "planted-secret" not in result.stderr + result.stdout


def test_help_lists_the_commands_that_wp_cli_users_know() -> None:
    """Administrators bring wp-cli's names with them."""
    text = run_wpctl("--help").stdout
    for name in WP_CLI_NAMES:
        assert f"  {name} " in text


def test_secrets_come_line_by_line_from_standard_input() -> None:
    """--prompt=a,b reads one line each, and a missing line is an error instead of an empty password."""
    code = """
        $in = fopen( 'php://memory', 'w+' ); fwrite( $in, "one two\\n" ); rewind( $in );
        $args = Args::parse( array( 'user', '--prompt=user_pass' ) ); $args->read_prompts( $in );
        echo $args->get( 'user_pass' ), '|';
        try { $args->read_prompts( $in ); } catch ( Usage $error ) { echo $error->getCode(); }
    """
    assert run_php(code) == "one two|64"


def test_formats_are_those_of_wp_cli() -> None:
    """Scripts written for wp-cli read our output: json, csv, ids, count, and one field per line."""
    code = """
        $rows = array( array( 'ID' => 7, 'name' => "a\\"b,\\u{4e2d}" ), array( 'ID' => 8, 'name' => 'c' ) );
        foreach ( array( 'format=json', 'format=csv', 'format=ids', 'format=count', 'field=name' ) as $one ) {
            Out::rows( Args::parse( array( "--$one" ) ), $rows, array( 'ID', 'name' ), 'ID' ); echo "--\\n";
        }
    """
    parts = run_php(code).split("--\n")
    assert json.loads(parts[0]) == [{"ID": 7, "name": 'a"b,中'}, {"ID": 8, "name": "c"}]
    assert parts[1] == 'ID,name\n7,"a""b,中"\n8,c\n'
    assert parts[2:5] == ["7 8\n", "2\n", 'a"b,中\nc\n']


def test_tables_align_chinese_and_hold_no_control_characters() -> None:
    """A title with an escape sequence must not write to the operator's terminal."""
    code = """
        $wide = array( 'a' => "\\u{4e2d}\\u{6587}\\e[31m", 'b' => '1' );
        $rows = array( $wide, array( 'a' => 'xy', 'b' => '2' ) );
        Out::rows( Args::parse( array() ), $rows, array( 'a', 'b' ), 'a' );
    """
    header, first, second = run_php(code).splitlines()
    assert "\x1b" not in first
    assert header.startswith("a ")
    assert second.startswith("xy ")


def test_site_is_found_by_its_id(tmp_path: Path) -> None:
    """Debian's wp-config picks the file by host name; operators speak of site ids."""
    for site, domain in (("community", "community.lab.test"), ("help", "help.lab.test")):
        (tmp_path / f"config-{domain}.php").write_text(f"<?php\ndefine( 'PERENNIAL_SITE', '{site}' );\n")
    (tmp_path / "config-default.php").write_text("<?php\n")
    code = f"""
        echo Site::choose( 'help', '{tmp_path}' )->domain, "\\n";
        foreach ( array( null, 'hepl' ) as $id ) {{
            try {{ Site::choose( $id, '{tmp_path}' ); }}
            catch ( Usage $e ) {{ echo $e->getMessage(), "\\n"; }}
        }}
    """
    domain, several, unknown = run_php(code).splitlines()
    assert domain == "help.lab.test"
    assert "--site=community" in several
    assert 'Did you mean "help"?' in unknown


@pytest.mark.parametrize(
    ("endpoint", "request_php", "status"),
    [
        ("bans", "", 403),
        ("bans", "$_SERVER['HTTP_AUTHORIZATION'] = 'Bearer wrong';", 403),
        ("bans", f"$_SERVER['HTTP_AUTHORIZATION'] = '{TOKEN}';", 403),
        ("bans", f"$_SERVER['HTTP_AUTHORIZATION'] = 'Bearer {TOKEN}'; $_GET['after'] = '1;x';", 400),
        ("bans", f"$_SERVER['HTTP_AUTHORIZATION'] = 'Bearer {TOKEN}'; $_GET['after'] = array( '1' );", 400),
        ("bans", f"$_SERVER['HTTP_AUTHORIZATION'] = 'Bearer {TOKEN}';", 503),
        ("health", "", 503),
    ],
)
def test_endpoints_refuse_without_token_or_database(
    endpoint: str, request_php: str, status: int, tmp_path: Path
) -> None:
    """The list of bans is for the agents alone; health is an honest 503 when the database is away."""
    config = tmp_path / "config.php"
    constants = {
        "DB_HOST": "127.0.0.1:9", "DB_USER": "u", "DB_PASSWORD": "planted-password", "DB_NAME": "n",
        "PERENNIAL_DB_CA": str(config), "PERENNIAL_SITE": "community", "PERENNIAL_CACHE_TOKEN": TOKEN,
    }  # fmt: skip
    config.write_text("<?php\n" + "".join(f"define( '{k}', '{v}' );\n" for k, v in constants.items()))
    code = (
        "register_shutdown_function( static fn() => print '#' . http_response_code() );"
        f"$_SERVER['PERENNIAL_CONFIG'] = '{config}'; {request_php}"
        f"require '{FILES}/endpoints/{endpoint}.php';"
    )
    result = subprocess.run(["php", "-r", code], capture_output=True, text=True, check=False, timeout=20)
    body, code_text = result.stdout.rsplit("#", 1)
    assert int(code_text) == status
    assert "planted" not in body
