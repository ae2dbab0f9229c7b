"""`make test` runs every folder of tests, and a run that was told what must run fails where it did not."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.mark.kafka
def test_it(): pass

@pytest.mark.postgres
def test_other(): {other}
"""


def test_every_folder_of_tests_is_run() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert {f"tests/{path.parent.name}" for path in ROOT.glob("tests/*/test_*.py")} == set(options["testpaths"])


@pytest.mark.parametrize(
    ("workers", "must_run", "other", "code"),
    [
        ("0", "kafka postgres", "pytest.skip()", 1),
        ("2", "kafka postgres", "pytest.skip()", 1),
        ("2", "kafka postgres", "pass", 0),
        ("2", "kafka processes", "pass", 1),
    ],
)
def test_what_must_run_has_to_pass(tmp_path: Path, workers: str, must_run: str, other: str, code: int) -> None:
    file = tmp_path / "test_these.py"
    file.write_text(TESTS.format(other=other))
    options = ("-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", "-n", workers)
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    argv = [sys.executable, "-m", "pytest", "-q", *options, str(file)]
    ran = subprocess.run(
        argv, cwd=ROOT, env={**environment, "TESTS_MUST_RUN": must_run}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == code, ran.stdout
    assert ("had to" in ran.stdout) is (code == 1)
