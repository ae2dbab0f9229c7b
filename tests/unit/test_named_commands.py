"""What pages for newcomers and operators name within a sentence, as `momus ...`, are commands with such options."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.main import get_command

from cli.main import make_app

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("docs/quickstart.md", "docs/performance-tuning.md", "docs/monitoring.md")


def named(page: str) -> list[str]:
    return [
        re.sub(r"\s+", " ", found) for found in re.findall(r"`(momus [a-z][^`]*)`", (ROOT / page).read_text()) if found
    ]


def unknown(words: Sequence[str]) -> list[str]:
    """Commands and options among the words that there are not."""
    command = get_command(make_app())
    rest = list(words)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return [rest[0]]
        command = command.commands[rest.pop(0)]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return [word for word in rest if word.startswith("--") and word not in {*options, "--help"}]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_exists(page: str) -> None:
    assert named(page)
    assert {text: found for text in named(page) if (found := unknown(text.split()[1:]))} == {}


def test_commands_that_there_are_not_are_found() -> None:
    assert unknown(["rum"]) == ["rum"]
    assert unknown(["init", "--devel"]) == ["--devel"]
    assert unknown(["effects", "make"]) == ["make"]
    assert unknown(["init", "--dev", "--home", "four"]) == []
