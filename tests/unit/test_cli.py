"""The command line as a whole: what all commands have in common."""

import re
from pathlib import Path

import pytest

from cli import submit
from cli.main import run_line
from node.home import exits

NAMES = ("init", "run", "submit", "tx", "status", "peers", "sql", "replay", "kafka", "demo", "bench", "verify")


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run_line([*words, "--help"]) == exits.OK
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"Usage: momus {name}" in help_of(capsys, name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "submit"])
def test_every_command_has_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--json" in help_of(capsys, name)


@pytest.mark.parametrize(
    "words", ["keys new", "genesis add", "genesis seal", "prove balance", "prove object", "prove asset"]
)
def test_commands_of_two_words_have_json(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--json" in help_of(capsys, *words.split())


@pytest.mark.parametrize("kind", [command.name for command in submit.app.registered_commands])
def test_every_kind_of_transaction_has_the_common_options(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = help_of(capsys, "submit", kind)
    assert all(option in told for option in ("--json", "--home", "--key", "--no-wait", "--timeout", "--reference"))


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    told = re.sub(r"\s+", " ", help_of(capsys))
    assert "0 ok, 1 a check failed or a transaction was rejected, 2 usage, 3 halt, 4 unavailable" in told


def test_processes_are_not_offered_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert not re.search(r"│ process\b", help_of(capsys))


@pytest.mark.parametrize("arguments", [["steal"], ["submit", "transfer", "eur"], ["tx"], ["status", "--loud"]])
def test_wrong_usage_has_its_exit_code(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(arguments) == exits.USAGE
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", [["status"], ["peers"], ["run"], ["sql", "select"], ["tx", "00" * 32], ["replay"]])
def test_folder_that_is_no_home_is_said_in_one_sentence(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_line([*command, "--home", str(tmp_path)]) == exits.USAGE
    assert capsys.readouterr().err.splitlines() == [
        f"momus: {tmp_path} is not the home of a node: it has no momus.toml. Run `momus init` first."
    ]
