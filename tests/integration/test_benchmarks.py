"""Every module of benchmarks/ runs, with the least of everything: figures that say nothing, but no rot."""

import ast
import importlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

FOLDER: Final = Path(__file__).resolve().parents[2] / "benchmarks"
MODULES: Final = sorted(file.stem for file in FOLDER.glob("*.py"))
MORE: Final = {"flush": ["{url}"], "pages": ["{url}"], "state_tree": ["postgres", "1000", "{url}"]}
"""Arguments, with the URL of a database of the test's own."""

pytestmark = [pytest.mark.postgres]


def imported_by(name: str) -> set[str]:
    """The other modules of the folder that a module is made of."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module is not None}
    return {module.removeprefix("benchmarks.") for module in found if module.startswith("benchmarks.")}


def is_program(name: str) -> bool:
    return '__name__ == "__main__"' in (FOLDER / f"{name}.py").read_text()


PROGRAMS: Final = [name for name in MODULES if is_program(name)]


def test_every_module_is_a_program_or_a_part_of_one() -> None:
    parts = set(PROGRAMS)
    while more := {part for name in parts for part in imported_by(name)} - parts:
        parts |= more
    assert [name for name in MODULES if name not in parts] == []


@pytest.mark.processes
@pytest.mark.parametrize("name", PROGRAMS)
def test_it_runs(name: str, postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    # Not below pytest's own folder, which is closed to the other user that Postgres runs as for root.
    with TemporaryDirectory(prefix="momus-benchmark-", ignore_cleanup_errors=True) as folder:
        arguments = ["--smallest", *(word.format(url=postgres_url) for word in MORE.get(name, []))]
        arguments += ["--scratch", f"{folder}/scratch"] if "--scratch" in (FOLDER / f"{name}.py").read_text() else []
        module.main(arguments)
    assert capsys.readouterr().out.strip()
