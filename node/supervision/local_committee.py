"""`momus run` of a folder of homes: several validators on one machine, each with a supervisor of its own.

They are kept apart as they would be on machines of their own: where one halts, or an operator stops it, the others go
on without it.
"""

import fcntl
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import structlog

from node.home import exits
from node.home.layout import Home, HomeUnusable
from node.home.status import StatusFile
from node.settings.tree import SupervisorSettings
from node.supervision.backoff import Restarts
from node.supervision.child import HALTED, RUNNING, STOPPED, WAITING, Child, ChildSpec
from node.supervision.self_pipe import Wakeup

_log = structlog.get_logger()
_TICK_S: Final = 0.25
_DRAIN_FACTOR: Final = 4
"""A supervisor drains its processes, three at most, one after the other, and then stops Postgres."""


def homes_below(path: Path) -> list[Home]:
    """The homes that lie in the folder, by name; none where it is a home itself."""
    if Home(path).settings_file.exists() or not path.is_dir():
        return []
    homes = [Home(folder.absolute()) for folder in sorted(path.iterdir())]
    return [home for home in homes if home.settings_file.is_file()]


class SupervisorGroup:
    """Runs the supervisors of several homes until a signal, or until none is left. Used once, by the main thread."""

    def __init__(self, folder: Path, homes: Sequence[Home], argv: Sequence[str], settings: SupervisorSettings) -> None:
        """`argv` is the command whose next argument is the path of a home."""
        self._folder = folder
        self._drain_s = _DRAIN_FACTOR * settings.drain_ms / 1000
        self._children = [
            Child(
                ChildSpec(home.path.name, [*argv, str(home.path)], may_stop=True),
                StatusFile(home.status_file("supervisor")),
                Restarts(settings),
                time.monotonic,
            )
            for home in homes
        ]
        self._wake = Wakeup()
        self._signals = 0

    def run(self) -> int:
        """The exit code: 3 where a validator has halted, else 0. Raises: HomeUnusable where they run already."""
        with (self._folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise HomeUnusable(f"The validators in {self._folder} run already.") from error
            return self._run()

    def halted(self) -> dict[str, str]:
        """Why validators halted, by name."""
        return {child.spec.name: child.detail for child in self._children if child.state == HALTED}

    def _run(self) -> int:
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, self._on_child)
        try:
            self._supervise()
        finally:
            for child in self._children:
                child.end()
            for number, handler in before.items():
                signal.signal(number, handler)
            self._wake.close()
        return exits.HALT if self.halted() else exits.OK

    def _supervise(self) -> None:
        for child in self._children:
            child.start()
        while not self._signals and any(child.state in (RUNNING, WAITING) for child in self._children):
            self._watch(restart=True)
            self._sleep()
        self._drain()

    def _drain(self) -> None:
        """All at once: each supervisor knows its own order."""
        for child in self._children:
            child.stop_waiting()
            child.terminate()
        deadline = time.monotonic() + self._drain_s
        while any(child.state == RUNNING for child in self._children):
            if time.monotonic() >= deadline or self._signals > 1:
                for child in self._children:
                    child.kill()
            self._sleep()
            self._watch(restart=False)

    def _watch(self, restart: bool) -> None:
        for child in self._children:
            if child.watch(restart):
                tell = _log.info if child.state == STOPPED else _log.warning
                tell("validator ended", validator=child.spec.name, state=child.state, detail=child.detail)

    def _sleep(self) -> None:
        waits = [wait for child in self._children if (wait := child.wait_s()) is not None]
        self._wake.wait(min([_TICK_S, *waits]))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._wake.set()

    def _on_child(self, number: int, frame: FrameType | None) -> None:
        self._wake.set()
