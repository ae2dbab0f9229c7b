"""A home that is not there, that cannot be written, on a full disk: a sentence and an exit code, always."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cli.main import run_line
from tests.fresh_machine import module_on_fresh_machine

pytestmark = [pytest.mark.postgres]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        assert run_line(["init", "--home", f"{folder}/home", "--dev"]) == 0
        yield Path(folder) / "home"


@pytest.mark.parametrize("state", ["absent", "no_folder", "read_only", "full"])
def test_every_command_says_what_is_wrong_and_how_to_mend_it(home: Path, tmp_path: Path, state: str) -> None:
    place = tmp_path / "home"
    shutil.copytree(home, place, symlinks=True)
    for done in json.loads(module_on_fresh_machine("tests.refusing_disk", str(place), state)):
        assert done["thrown"] == "", done["words"]
        assert "Traceback" not in done["said"], done["words"]
        assert done["code"] in range(5), done["words"]
        # Processes say it in their log, which is set up once for each of them.
        if done["code"] and done["words"][0] != "process":
            assert done["said"].strip(), done["words"]
