"""Commands that are to be typed next: whatever a path holds, each is one line that a shell reads as it was meant."""

import ast
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console

from cli import simulate
from cli.main import COMMANDS, run_line
from lab.demo import run as demo_run
from lab.demo.checks import Checks
from lab.demo.phases import Flow
from lab.demo.report import Report
from ledger.keys import PrivateKey
from node.home import exits
from node.home.layout import Home
from node.home.status import HALTED, StatusFile
from simulation.runs import Plan, Verdict
from tests import builders

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = ("momus", "node", "api", "sync", "backbone", "projections", "proofs", "consensus", "simulation")
ODD: Final = {
    "plain": "home",
    "what a shell reads": 'it\'s  "mine" $HOME `id` $(id) ~ * ? [a-z] {a,b} !! \\ & ; | < > # a=b:c',
    "a dash first": "-rf",
    "what a terminal does not show": "two\nlines\ta\a\x1b[31m \u202eb\u200b it's",
    "what rich reads, not ASCII, long": ":dog: [bold] дом-ø-家 " * 4,
}
_COMMAND: Final = re.compile(r"^(?:  |.*?: )(\S*momus .*)$", re.MULTILINE)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / ODD[request.param]


def commands_in(text: str) -> list[list[str]]:
    """The words of each command that stands on a line of its own, as a shell sees them."""
    found: list[str] = _COMMAND.findall(text)
    return [words_of(command) for command in found]


def words_of(command: str) -> list[str]:
    """Asks a shell; what is in the command is not run."""
    argv = ["bash", "-c", f"printf '%s\\0' {command}"]
    told = subprocess.run(argv, capture_output=True, check=True, env={"PATH": os.environ["PATH"]}).stdout
    return [os.fsdecode(word) for word in told.split(b"\0")[:-1]]


def finds_momus(words: list[str]) -> bool:
    """Whether a shell would run our program, in whatever folder it is."""
    own = Path(sys.executable).with_name("momus")
    found = shutil.which(words[0], path=os.environ["PATH"])
    return found is not None and Path(found).is_absolute() and Path(found).samefile(own)


def told(text: str, *expected: list[str]) -> None:
    words = commands_in(text)
    assert [each[1:] for each in words] == [*expected]
    assert all(map(finds_momus, words))


def test_errors_give_their_remedy_whole_for_the_home_they_are_about(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in (["--home", str(odd)], [f"--home={odd}"]):
        assert run_line(["recover", *form]) == exits.USAGE
        told(capsys.readouterr().err, ["init", "--home", str(odd)])


def test_a_path_that_is_not_utf_8_ends_no_command_with_a_traceback(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/a\xffb"
    argv: list[str | bytes] = [sys.executable, "-m", "momus", "recover", "--home", odd]
    done = subprocess.run(argv, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    told(done.stderr.decode(), ["init", "--home", os.fsdecode(odd)])
    assert done.returncode == exits.USAGE


def test_a_home_in_the_environment_is_in_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOMUS_HOME", str(tmp_path / "my home"))
    assert run_line(["status"]) == exits.USAGE
    told(capsys.readouterr().err, ["init", "--home", str(tmp_path / "my home")])
    monkeypatch.delenv("MOMUS_HOME")
    monkeypatch.chdir(tmp_path)
    assert run_line(["status"]) == exits.USAGE
    told(capsys.readouterr().err, ["init", "--home", str(tmp_path / "momus-home")])


def test_a_draft_names_the_command_that_seals_it(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd.parent.mkdir(exist_ok=True)
    key = PrivateKey.from_seed(bytes(32)).public_key.hex()
    add = ["genesis", "add", "--draft", str(odd), "--chain", "c", "--name", "v1", "--public-key", key]
    assert run_line(add) == exits.OK
    told(capsys.readouterr().out, ["genesis", "seal", "--draft", str(odd), "--kafka", "HOST:PORT"])


def test_a_sealed_genesis_names_the_command_that_joins(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd.mkdir()
    draft, out, log = odd / "draft.json", odd / "genesis.json", odd / "log"
    key = PrivateKey.from_seed(bytes(32)).public_key.hex()
    run_line(["genesis", "add", "--draft", str(draft), "--chain", "c", "--name", "v1", "--public-key", key])
    capsys.readouterr()
    seal = ["genesis", "seal", "--draft", str(draft), "--out", str(out), "--backbone", "embedded"]
    assert run_line([*seal, "--log-path", str(log)]) == exits.OK
    (words,) = commands_in(capsys.readouterr().out)
    assert words[1:4] == ["init", "--genesis", str(out)]
    assert words[-4:] == ["--backbone", "embedded", "--log-path", str(log)]
    assert finds_momus(words)


def test_a_halted_node_shows_the_remedy_of_its_process(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Home(odd)
    home.make_folders()
    home.settings_file.write_text('validator = "validator-1"\n')
    home.genesis_file.write_bytes(builders.genesis_bytes())
    StatusFile(home.status_file("order")).write(HALTED, "It differs. `momus recover` builds the database anew.")
    run_line(["status", "--home", str(odd)])
    told(capsys.readouterr().out, ["recover", "--home", str(odd)])


@pytest.mark.parametrize("field", ["mutant", "checker", "adversary", "faults"])
def test_a_violation_names_the_command_that_replays_it(field: str, capsys: pytest.CaptureFixture[str]) -> None:
    given: dict[str, Any] = {field: "a quorum of half, it's $odd" + " and long" * 20}
    plan = Plan(7, 4, **given)
    simulate._shown(Verdict(plan, "two blocks", (), 0, 0, 0))
    (words,) = commands_in(capsys.readouterr().out)
    assert words[1:4] == ["simulate", "--seeds", "7..7"]
    assert words[words.index(f"--{field}") + 1] == given[field]
    assert finds_momus(words)
    assert shlex.split(plan.command())[1:] == words[1:]


def test_the_demo_names_commands_that_can_be_pasted_at_80_columns(odd: Path) -> None:
    report = Report(
        backbone="embedded",
        validators=1,
        input="statements.asc",
        flow=Flow(),
        checks=Checks(),
        views_nullified=0,
        replay_s=1.0,
        replay_per_s=1.0,
        seconds=1.0,
        places=(("data", str(odd)),),
        commands=demo_run._commands(odd, odd / "validator-1", odd),
    )
    shown = io.StringIO()
    report.show(Console(file=shown, width=80))
    look = "select address, decimal_amount from balances order by amount desc limit 5"
    told(
        shown.getvalue(),
        ["run", "--home", str(odd)],
        ["sql", "--home", str(odd / "validator-1"), look],
        ["demo", "--clean", "--scratch", str(odd)],
    )


def test_momus_is_named_in_short_where_the_shell_finds_this_one_by_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path(sys.executable).with_name("momus")
    another = tmp_path / "another" / "momus"
    another.parent.mkdir()
    another.write_text("#!/bin/sh\nexit 1\n")
    another.chmod(0o755)
    for first, named in ((own.parent, "momus"), (another.parent, str(own)), (tmp_path, str(own))):
        monkeypatch.setenv("PATH", f"{first}:/usr/bin:/bin")
        assert run_line(["recover", "--home", str(tmp_path)]) == exits.USAGE
        assert [words[0] for words in commands_in(capsys.readouterr().err)] == [named]


def strings(file: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of what a source file may print: no docstrings; formatted ones with {} for what is filled in."""
    tree = ast.parse(file.read_text())
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (silent | inner):
            yield node.lineno, node.value


def all_strings() -> list[tuple[str, str]]:
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    return [(f"{file.relative_to(ROOT)}:{line}", text) for file in files for line, text in strings(file)]


def test_no_command_is_put_together_by_hand() -> None:
    whole = re.compile(rf"(?<!`)\bmomus (?:{'|'.join(COMMANDS)}) ")
    by_hand = [f"{where}: {text[:80]}" for where, text in all_strings() if whole.search(text)]
    assert by_hand == []


def named_in_sentences() -> list[str]:
    found = {command for _, text in all_strings() for command in re.findall(r"`momus ([a-z][^`<>]*)`", text)}
    return sorted(command.replace("{}", "5") for command in found)


@pytest.mark.parametrize("command", named_in_sentences())
def test_every_command_that_a_sentence_names_is_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in shlex.split(command) if word != "--from" and "A..B" not in word]
    assert run_line([*[word for word in words if not word.startswith("-")][:2], "--help"]) == exits.OK
    assert "Usage: momus" in capsys.readouterr().out


def test_a_key_that_others_can_read_comes_with_what_closes_it(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["keys", "new", "--key", str(odd)]) == exits.OK
    assert json.loads(capsys.readouterr().out)["key"] == str(odd)
    odd.chmod(0o644)
    add = ["genesis", "add", "--draft", f"{odd}.draft", "--chain", "c", "--name", "v1", "--key", str(odd)]
    assert run_line(add) == exits.USAGE
    (command,) = re.findall(r"`(chmod [^`]*)`", capsys.readouterr().err) if "`" not in odd.name else [None]
    if command is not None:
        subprocess.run(["bash", "-c", command], check=True)
        assert odd.stat().st_mode & 0o777 == 0o600
