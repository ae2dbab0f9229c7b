"""The API's way to the log, where there is none."""

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.submission.sender import client_sender
from cli.main import run_line
from node.home.layout import Home
from node.home.status import StatusFile
from node.process.process import Process
from tests.patience import WAIT_S


@pytest.mark.usefixtures("capsys")
def test_a_log_that_cannot_be_used_is_tried_again_and_said(tmp_path: Path) -> None:
    assert run_line(["init", "--home", str(tmp_path / "home"), "--dev"]) == 0
    home = Home(tmp_path / "home")
    process = Process(home, home.settings({"MOMUS_LOG__KIND": "kafka"}), StatusFile(home.run / "api.json"))
    deadline = time.monotonic() + WAIT_S
    with capture_logs() as said, client_sender(process):
        while len(said) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert [line["reason"] for line in said if "bootstrap.servers" in line["reason"]][1:]
