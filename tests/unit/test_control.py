"""What operators want of a node: a file that survives, whatever it holds."""

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from node.home.control import BYTES_MAX, Control, ControlFile
from node.process.logging import follow_level, start_logging
from node.settings.tree import LoggingSettings


def test_what_is_changed_is_read_by_others_and_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "control.json"
    reader, writer = ControlFile(file), ControlFile(file)
    assert reader.read() == Control()
    assert writer.change(paused=["order"], snapshot_from=7) == Control(paused=["order"], snapshot_from=7)  # type: ignore[arg-type]
    assert reader.read() == Control(paused=("order",), snapshot_from=7)
    writer.change(paused=[], prune_to=3)
    assert reader.read() == ControlFile(file).read() == Control(snapshot_from=7, prune_to=3)
    file.unlink()
    assert reader.read() == Control()


GOOD = {"paused": [], "log_level": "", "snapshot_from": 0, "prune_to": 0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "\xff",
        json.dumps({**GOOD, "more": 1}),
        json.dumps({**GOOD, "paused": "order"}),
        json.dumps({**GOOD, "paused": [1]}),
        json.dumps({**GOOD, "log_level": "loud"}),
        json.dumps({**GOOD, "log_level": None}),
        json.dumps({**GOOD, "prune_to": -1}),
        json.dumps({**GOOD, "prune_to": True}),
        json.dumps({**GOOD, "snapshot_from": 1e3}),
        json.dumps({**GOOD, "snapshot_from": 1 << 63}),
        json.dumps(GOOD) + " " * BYTES_MAX,
    ],
)
def test_a_file_that_is_not_ours_changes_nothing_of_what_was_wanted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "control.json"
    control = ControlFile(file)
    control.change(paused=["order"])
    assert control.read().paused == ("order",)
    file.write_text(text, "latin-1")
    assert control.read().paused == ("order",)
    assert ControlFile(file).read() == Control()
    control.change(log_level="debug")
    assert ControlFile(file).read() == Control(paused=("order",), log_level="debug")


def test_a_folder_in_its_place_is_told_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "control.json").mkdir()
    assert ControlFile(tmp_path / "control.json").read() == Control()


@contextmanager
def hooks_kept() -> Iterator[None]:
    """What a process' log takes over belongs to the tests again afterwards."""
    root, config = logging.getLogger(), structlog.get_config()
    with pytest.MonkeyPatch.context() as patched:
        for owner, name in ((root, "level"), (warnings, "showwarning"), (sys, "excepthook"), (sys, "unraisablehook")):
            patched.setattr(owner, name, getattr(owner, name))
        patched.setattr(threading, "excepthook", threading.excepthook)
        patched.setattr(root, "handlers", [])
        yield
    structlog.configure(**config)


def test_the_level_of_logs_follows_what_is_wanted_and_goes_back_to_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = LoggingSettings(level="warning", format="json")
    control = ControlFile(tmp_path / "control.json")
    with hooks_kept():
        start_logging(settings, tmp_path, "test")
        log = structlog.get_logger()
        for level in ("debug", "", "error"):
            control.change(log_level=level)
            follow_level(settings, control)
            log.debug(f"debug at {level!r}")
            log.warning(f"warning at {level!r}")
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["debug at 'debug'", "warning at 'debug'", "warning at ''"]
