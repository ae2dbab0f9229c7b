"""The command line where a standard stream is closed, or a word is no text: a sentence, and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import run_line
from tests.patience import WAIT_S


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_as_the_null_device(closed: str) -> None:
    command = f'exec "$0" -P -m momus --help {closed}'
    done = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=WAIT_S)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_path_that_is_no_text_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = run_line(["init", "--home", f"{tmp_path}/home\udcff"])
    said = capfd.readouterr().err
    assert (code, said.count("\n")) == (2, 1)
    assert "no text in UTF-8" in said
    assert list(tmp_path.iterdir()) == []
