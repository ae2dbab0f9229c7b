"""`make test` forgets no folder of tests."""

import tomllib
from pathlib import Path

from tests.all_tests import NODES, OTHERS

ROOT = Path(__file__).parents[2]
OTHER_TARGETS = {"tests/browser", "tests/clients"}


def test_every_folder_of_tests_is_run_by_make_test() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    folders = [f"tests/{path.parent.name}" for path in sorted(ROOT.glob("tests/*/test_*.py"))]
    assert {*NODES, *OTHERS, *OTHER_TARGETS} == set(folders) == set(options["testpaths"])
