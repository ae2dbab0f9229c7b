"""What every supervised process of a node has in common: logs, a status file, signals, exit codes."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import structlog

from ledger.errors import CallerError, Halt, Unavailable
from node.home import exits, status
from node.home.context import NodeContext
from node.home.layout import Home
from node.home.status import StatusFile
from node.process.disk import refused
from node.process.logging import following_level, start_logging
from node.process.parent_death import die_with_parent
from node.settings.tree import LoggingSettings, Settings

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Process:
    """A running process of the node at `home`, as its body sees it."""

    home: Home
    settings: Settings
    status: StatusFile
    stop: threading.Event = field(default_factory=threading.Event)
    """Set by SIGTERM and SIGINT: finish what is under way and return."""

    def context(self) -> NodeContext:
        """With what the genesis of the home says. Raises: HomeUnusable."""
        return NodeContext.at(self.home, self.settings)

    def on_running(self) -> None:
        """Say once that the process does its work now; later calls change nothing."""
        said = self.status.read()
        if said is None or said.state != status.RUNNING:
            self.status.write(status.RUNNING)

    def on_waiting(self, reason: str) -> None:
        """Say that it cannot do its work now, until `on_running`."""
        if not self.stop.is_set():
            self.status.write(status.STARTING, reason)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop.set()
        self.status.write(status.DRAINING)

    def listen(self) -> None:
        """From now on SIGTERM and SIGINT set `stop`."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)


def run_process(name: str, path: Path, parent_pid: int | None, body: Callable[[Process], None]) -> int:
    """Run `body` as process `name` of the home at `path`, killed with `parent_pid` if given; its exit code."""
    if parent_pid is not None:
        die_with_parent(parent_pid)
    home = Home(path)
    file = StatusFile(home.status_file(name))
    # What is wrong with the settings is an event too.
    start_logging(LoggingSettings(), path, name)
    try:
        file.write(status.STARTING)
        settings = home.settings(dict(os.environ))
        start_logging(settings.logging, path, name)
        following_level(settings.logging, home.control_file)
        process = Process(home, settings, file)
        process.listen()
        body(process)
    except (CallerError, Halt) as error:
        return _ended(file, status.HALTED, exits.code_of(error), str(error))
    except Unavailable as error:
        return _ended(file, status.CRASHED, exits.UNAVAILABLE, str(error))
    except OSError as error:
        code, sentence = refused(error, path)
        return _ended(file, status.HALTED if code == exits.USAGE else status.CRASHED, code, sentence)
    file.write(status.STOPPED)
    return exits.OK


def _ended(file: StatusFile, state: str, code: int, sentence: str) -> int:
    _log.error(state, reason=sentence)
    file.write(state, sentence)
    return code
