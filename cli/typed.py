"""Commands that are printed to be typed next: one line each, quoted for a POSIX shell, with a `momus` that it finds.

Sentences, also those of errors, name commands in short: "`momus recover` builds the database anew". Where a terminal
shows such a sentence, `remedies` gives the same commands whole, with the home and with a word for what is missing.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from cli.options import DEFAULT_HOME
from node.home.quoting import quoted

_SHORT: Final = re.compile(r"`momus ([a-z][^`<>]*)`")
_HOME: Final = "--home"


def typed(*words: str | Path) -> str:
    """A command of ours, without its `momus`, as it can be pasted in any folder. Paths are made absolute."""
    whole = (program(), *(str(word.absolute()) if isinstance(word, Path) else word for word in words))
    return " ".join(map(quoted, whole))


def program() -> str:
    """`momus` where the shell finds this installation by that name, else the path of its program."""
    own = Path(sys.executable).with_name("momus")
    found = shutil.which("momus")
    if not own.is_file():
        return found or "momus"
    return "momus" if found is not None and Path(found).samefile(own) else str(own)


def remedies(sentence: str, home: Path) -> list[str]:
    """The commands that a sentence names between backquotes, each whole."""
    named = dict.fromkeys(words for short in _SHORT.findall(sentence) if (words := _words(short)))
    found = (_whole(words, home) for words in named)
    return list(dict.fromkeys(typed(*words) for words in found if words is not None))


def home_of(arguments: Sequence[str]) -> Path:
    """The home that a command line was about: its option, else what stands in the environment, else the default."""
    given = [after for word, after in pairwise(arguments) if word == _HOME]
    given += [word.removeprefix(f"{_HOME}=") for word in arguments if word.startswith(f"{_HOME}=")]
    return Path(given[-1] if given else os.environ.get("MOMUS_HOME") or DEFAULT_HOME)


def _words(short: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(short))
    except ValueError:
        return ()


def _whole(words: Sequence[str], home: Path) -> tuple[str | Path, ...] | None:
    """With the home, where the command takes one, and a word for each thing that it needs; None: no such command."""
    from cli.main import COMMANDS, make_app  # which loads what loads this

    if words[0] not in COMMANDS:
        return None
    command: object = typer.main.get_command(make_app([words[0]]))
    whole: list[str | Path] = []
    left = list(words)
    while isinstance(command, TyperGroup) and left and left[0] in command.commands:
        command = command.commands[left[0]]
        whole.append(left.pop(0))
        if _HOME not in words and any(_HOME in parameter.opts for parameter in _parameters(command)):
            whole += [_HOME, home]
    return None if isinstance(command, TyperGroup) else (*whole, *left, *_needed(_parameters(command), left))


def _parameters(command: object) -> list[TyperArgument | TyperOption]:
    found = command.params if isinstance(command, TyperCommand | TyperGroup) else []
    return [parameter for parameter in found if isinstance(parameter, TyperArgument | TyperOption)]


def _needed(parameters: Iterable[TyperArgument | TyperOption], given: Sequence[str]) -> Iterator[str]:
    """A word for each option that must be given, and for each argument where none is."""
    has_arguments = any(not word.startswith("-") for word in given)
    for parameter in parameters:
        if not parameter.required or any(option in given for option in parameter.opts):
            continue
        name = (parameter.name or "").upper()
        if isinstance(parameter, TyperArgument):
            yield from () if has_arguments else (name,)
        else:
            yield from (parameter.opts[0], name)
