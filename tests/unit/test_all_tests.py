"""`make test` forgets no folder of tests."""

import tomllib
from pathlib import Path

from tests.all_tests import NODES, OTHERS

ROOT = Path(__file__).parents[2]
WITH_A_BROWSER = "tests/browser"


def test_every_folder_of_tests_is_run_by_make_test() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    folders = [f"tests/{path.parent.name}" for path in sorted(ROOT.glob("tests/*/test_*.py"))]
    assert {*NODES, *OTHERS, WITH_A_BROWSER} == set(folders) == set(options["testpaths"])
