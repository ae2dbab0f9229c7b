"""One supervised process, as its supervisor sees it: start, watch, ask to stop, kill, start again later."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.home import status
from node.home.exits import HALT, OK, USAGE
from node.home.status import StatusFile
from node.supervision.backoff import Restarts

RUNNING: Final = "running"
WAITING: Final = "waiting"
STOPPED: Final = "stopped"
HALTED: Final = "halted"
PAUSED: Final = "paused"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to start. `has_caught_up` says, while draining, that a SIGTERM now loses no work in progress.
    `may_stop`: an end with exit code 0 is what somebody wanted, and is left so."""

    name: str
    argv: Sequence[str]
    has_caught_up: Callable[[], bool] = lambda: True
    may_stop: bool = False


class Child:
    """One process in a process group of its own, so that Ctrl-C at a terminal reaches the supervisor alone."""

    def __init__(self, spec: ChildSpec, file: StatusFile, restarts: Restarts, clock: Callable[[], float]) -> None:
        self.spec = spec
        self._file = file
        self._restarts = restarts
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._is_paused = False
        self._kill_at = 0.0
        self.state = WAITING
        self.starts = 0
        self.detail = ""

    def start(self) -> None:
        """Start the process. Must be called by the main thread: the process dies with the thread that made it."""
        self._process = subprocess.Popen(self.spec.argv, stdin=subprocess.PIPE, process_group=0)
        self._started_at = self._clock()
        self.starts += 1
        self.state = RUNNING
        self._file.write(status.STARTING, pid=self._process.pid)

    def watch(self, restart: bool) -> bool:
        """See whether the process ended, and start it again when it is time to. Whether it ended just now.

        Exit codes 3 (halt) and 2 (unusable settings) are for people to solve; after any other it starts again, except
        without `restart`, or where it may stop and has: then it is meant to.
        """
        if self.state == WAITING and restart and self._clock() >= self._start_at:
            self.start()
        if self.state != RUNNING or not self._has_ended():
            return False
        assert self._process is not None
        self._sweep()
        with self._process as process:
            code = process.wait()
        self._ended(code, restart)
        return True

    def wait_s(self) -> float | None:
        """Seconds until it is to be started again; None if it is not waiting."""
        return max(0.0, self._start_at - self._clock()) if self.state == WAITING else None

    def pause(self, is_paused: bool, within_s: float) -> None:
        """Pause it from now on, or let it run. One that runs is asked to finish, and killed if it has not after
        `within_s`; to be called again and again."""
        if is_paused and self.state == RUNNING and self._is_paused and self._clock() >= self._kill_at:
            self.kill()
        if is_paused == self._is_paused:
            return
        self._is_paused, self._kill_at = is_paused, self._clock() + within_s
        if is_paused and self.state == WAITING:
            self._stand_still()
        elif is_paused:
            self.terminate()
        elif self.state == PAUSED:
            self.state, self._start_at = WAITING, self._clock()

    def stop_waiting(self) -> None:
        """A process that waits to be started again, or is paused, is not."""
        if self.state in (WAITING, PAUSED):
            self.state = STOPPED
            self._file.write(status.STOPPED, pid=self._pid())

    def terminate(self) -> None:
        """Ask it to finish. Not by Popen, which would wait for it: see `_has_ended`."""
        if self.state == RUNNING:
            os.kill(self._pid(), signal.SIGTERM)

    def kill(self) -> None:
        """End it and whatever it started, now."""
        if self.state == RUNNING:
            self._sweep()

    def end(self) -> None:
        """`kill`, and wait until it is gone."""
        self.kill()
        if self._process is not None:
            with self._process as process:
                process.wait()

    def _ended(self, code: int, restart: bool) -> None:
        said = self._file.read()
        self.detail = said.detail if said is not None and said.pid == self._pid() else ""
        if code in (HALT, USAGE):
            self.state = HALTED
            self._file.write(status.HALTED, self.detail, self._pid())
        elif restart and self._is_paused:
            self._stand_still()
        elif not restart or (self.spec.may_stop and code == OK):
            self.state = STOPPED
            self._file.write(status.STOPPED, pid=self._pid())
        else:
            wait_s = self._restarts.wait_s(self._clock() - self._started_at)
            self.state, self._start_at = WAITING, self._clock() + wait_s
            why = f": {self.detail}" if self.detail else ""
            self.detail = f"{_cause(code)}{why}; starts again in {wait_s:.1f} s"
            self._file.write(status.CRASHED, self.detail, self._pid())

    def _stand_still(self) -> None:
        self.state, self.detail = PAUSED, ""
        self._file.write(status.PAUSED, "until an operator lets it go on", self._pid())

    def _has_ended(self) -> bool:
        """Whether it has ended, leaving it to be waited for: until then its group cannot be another's."""
        return os.waitid(os.P_PID, self._pid(), os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _sweep(self) -> None:
        try:
            os.killpg(self._pid(), signal.SIGKILL)
        except ProcessLookupError:
            return

    def _pid(self) -> int:
        return self._process.pid if self._process is not None else 0


def _cause(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
