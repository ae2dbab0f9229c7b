"""What help texts say is what `--help` prints: to the last bracket, of every command."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from cli.main import make_app

APP: Any = get_command(make_app())
_BOX = re.compile(r"[│╭╮╰╯─]")


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, groups too."""
    yield path
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from commands(below, (*path, name))


def words(text: str) -> str:
    """Without what wraps it."""
    return "".join(_BOX.sub("", text).split())


def texts(path: tuple[str, ...]) -> list[str]:
    """All that the code says for a command's help: each paragraph, and each option's text."""
    command = APP
    for name in path:
        assert isinstance(command, TyperGroup)
        command = command.commands[name]
    below = command.commands.values() if isinstance(command, TyperGroup) else ()
    said = [
        command.help or "",
        command.epilog or "",
        *(each.get_short_help_str(1000) for each in below if not each.hidden),
    ]
    said += [
        getattr(parameter, "help", None) or ""
        for parameter in command.params
        if not getattr(parameter, "hidden", False)
    ]
    return [paragraph for text in said for paragraph in text.split("\n\n") if paragraph.strip()]


@pytest.mark.parametrize("path", list(commands(APP)), ids=" ".join)
@pytest.mark.parametrize("columns", [60, 200])
def test_help_prints_every_word_of_its_texts(path: tuple[str, ...], columns: int) -> None:
    printed = CliRunner().invoke(
        make_app(), [*path, "--help"], env={"COLUMNS": str(columns), "TERMINAL_WIDTH": str(columns)}
    )
    assert printed.exit_code == 0
    shown = words(printed.output)
    assert [text for text in texts(path) if words(text) not in shown] == []
