"""What a part of the node knows of each command stands in one complete table: whoever adds a command is told by the
import of each part what it still needs. The tables are found in the sources, so one that is added later is tried too.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import get_args

import pytest

import momus
from ledger import commands
from ledger.commands import Command, CreateAsset, IncompleteTable, Mint, complete, spelling

ROOT = Path(__file__).parents[2]
NO_PRODUCT = ("tests", "benchmarks", "examples", "migrations")
NAMES = {kind.__name__ for kind in get_args(Command)}
SEVERAL = 3


@dataclass(frozen=True, slots=True)
class MadeUp:
    """A command that no table has."""

    thing: bytes


@cache
def trees() -> dict[str, ast.Module]:
    folders = [folder for folder in sorted(ROOT.iterdir()) if (folder / "__init__.py").exists()]
    files = [file for folder in folders if folder.name not in NO_PRODUCT for file in sorted(folder.rglob("*.py"))]
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in files}


def name_of(node: ast.AST | None) -> str:
    return str(getattr(node, "id", getattr(node, "attr", "")))


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node.func) == "complete"]


TABLES = {place: len(calls(tree)) for place, tree in trees().items() if calls(tree)}


def import_anew(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a file's own statements once more, beside the module that is there."""
    spec = spec_from_file_location("imported_anew", ROOT / place)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "imported_anew", module)
    spec.loader.exec_module(module)


def test_parts_of_the_node_have_tables() -> None:
    assert {place.split("/")[0] for place in TABLES} >= {"ledger", "executor", "cli"}
    assert set(TABLES.values()) == {1}, "the first of two would hide the second from these tests"


@pytest.mark.parametrize("place", TABLES)
def test_a_command_without_a_row_fails_at_import(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import_anew(place, monkeypatch)
    monkeypatch.setattr(commands, "Command", Command | MadeUp)
    with pytest.raises(IncompleteTable, match="missing are MadeUp;"):
        import_anew(place, monkeypatch)


@pytest.mark.parametrize("place", TABLES)
def test_a_row_of_no_command_fails_at_import(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [kind for kind in get_args(Command) if kind is not Mint]
    monkeypatch.setattr(commands, "get_args", lambda _union: tuple(kept))
    with pytest.raises(IncompleteTable, match=r"no commands are Mint\."):
        import_anew(place, monkeypatch)


def test_a_complete_table_comes_back_and_may_leave_out_what_it_says() -> None:
    table = dict.fromkeys(get_args(Command), 1)
    assert complete(table, "a table") is table
    del table[Mint]
    assert complete(table, "a table", besides={Mint}) is table
    with pytest.raises(IncompleteTable, match="a table: missing are Mint; no commands are none"):
        complete(table, "a table")


def keyed_by_commands(tree: ast.AST) -> Iterator[ast.AST]:
    """Dictionaries with keys of several commands, and matches or chains of `isinstance` over several."""
    for node in ast.walk(tree):
        keys: list[str] = []
        if isinstance(node, ast.Dict):
            keys = [name_of(key) for key in node.keys]
        elif isinstance(node, ast.Match):
            keys = [name_of(part.cls) for case in node.cases for part in ast.walk(case.pattern) if hasattr(part, "cls")]
        elif isinstance(node, ast.FunctionDef):
            tests = [
                call for call in ast.walk(node) if isinstance(call, ast.Call) and name_of(call.func) == "isinstance"
            ]
            keys = [name_of(part) for call in tests for part in ast.walk(call.args[1])]
        if len(NAMES.intersection(keys)) >= SEVERAL:
            yield node


def test_nothing_else_is_keyed_by_commands() -> None:
    found = {place: list(keyed_by_commands(tree)) for place, tree in trees().items()}
    tables = {id(call.args[0]) for tree in trees().values() for call in calls(tree)}
    assert [(place, node) for place, nodes in found.items() for node in nodes if id(node) not in tables] == []


@pytest.mark.parametrize(
    "text",
    [
        "{Mint: 1, commands.Burn: 2, Transfer: 3}",
        "match x:\n case Mint() | Burn():\n  pass\n case Transfer():\n  pass",
        "def f(x):\n if isinstance(x, Mint | Burn):\n  return 1\n return isinstance(x, Transfer)",
    ],
)
def test_the_search_finds_what_is_keyed_by_commands(text: str) -> None:
    assert list(keyed_by_commands(ast.parse(text)))


def test_commands_are_spelt_with_underscores() -> None:
    assert [spelling(kind) for kind in (CreateAsset, Mint)] == ["create_asset", "mint"]


def test_the_public_face_has_every_command() -> None:
    assert {getattr(momus, name, None) for name in NAMES} == set(get_args(Command))
    assert set(momus.__all__) >= NAMES
