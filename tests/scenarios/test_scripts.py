"""Every scenario script leaves the trace that stands in it."""

from pathlib import Path

import pytest

from tests.scripts import FOLDER, play

SCRIPTS = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_script_leaves_the_trace_that_it_shows(path: Path) -> None:
    assert play(path.read_text()) == path.read_text()


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 14
