"""A command that is typed in a folder runs nothing that lies there, nor do the processes that it starts."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = sorted(folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").exists() and folder.name != "tests")
OTHERS = ["numpy", "structlog", "typer", "psycopg", "msgspec", "fastavro", "pydantic"]
STANDARD = sorted(name for name in sys.stdlib_module_names if not name.startswith("_") and name != "this")
COMMAND = [str(Path(sys.executable).with_name("momus"))]
MODULE = [sys.executable, "-m", "momus"]
SETTINGS = '[postgres]\nurl = "postgresql://h/d"\n[api]\nport = 0\n[admin]\nlisten = ""\n'


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with a module of each name, which leaves a file when it is run."""
    folder = tmp_path / "trap"
    for name in {*OURS, *OTHERS, *STANDARD} - {"momus"}:
        file = folder / name / "__init__.py"
        file.parent.mkdir(parents=True)
        file.write_text(f"open({str(tmp_path / 'sprung')!r}, 'a').write({name!r} + ' ')\nraise ImportError('trap')\n")
    return folder


def sprung(trap: Path) -> str:
    file = trap.parent / "sprung"
    return file.read_text() if file.exists() else ""


def typed(trap: Path, argv: list[str]) -> int:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MOMUS"))}
    return subprocess.run(argv, cwd=trap, env=environment, capture_output=True, check=False).returncode


@pytest.mark.parametrize("processes", ["supervisor", "committee"])
def test_a_node_starts_none_of_it(trap: Path, processes: str) -> None:
    home = trap.parent / "home"
    for each in [home] if processes == "supervisor" else [home / "a", home / "b"]:
        (each / "run").mkdir(parents=True)
        (each / "momus.toml").write_text(SETTINGS)
    assert typed(trap, [*COMMAND, "run", "--home", str(home)]) in (2, 3), "without a genesis its processes end"
    assert sprung(trap) == ""


def test_processes_for_a_part_of_the_work_start_none_of_it(trap: Path) -> None:
    assert typed(trap, [*COMMAND, "simulate", "--seeds", "0..1", "--jobs", "2"]) == 0
    assert sprung(trap) == ""


def test_a_verdict_worker_starts_none_of_it(trap: Path) -> None:
    code = "from ingest.workers import Worker; from ledger.genesis import DEFAULT_LIMITS; w = Worker(bytes(32), "
    code += "DEFAULT_LIMITS); w.send([]); w.receive(); w.end()"
    assert typed(trap, [sys.executable, "-P", "-c", code]) == 0
    assert sprung(trap) == ""


@pytest.mark.parametrize("command", ["init", "status", "sql", "verify", "simulate"])
def test_momus_as_a_module_takes_none_of_our_names_from_there(trap: Path, command: str) -> None:
    for name in {*STANDARD} - {*OURS}:
        (trap / name / "__init__.py").unlink()
        (trap / name).rmdir()
    assert typed(trap, [*MODULE, command, "--help"]) == 0
    assert sprung(trap) == ""


def python_commands() -> Iterator[tuple[str, list[str]]]:
    """Each list in our sources that begins with Python, as source text."""
    for file in ROOT.glob("*/**/*.py"):
        if file.parts[len(ROOT.parts)] in {*OURS}:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.List) and node.elts and ast.unparse(node.elts[0]) == "sys.executable":
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", [ast.unparse(each) for each in node.elts]


def test_every_python_that_we_start_is_told_not_to_look_there() -> None:
    found = dict(python_commands())
    assert len(found) >= 5
    assert [where for where, words in found.items() if words[1] != "'-P'"] == [], json.dumps(found)
