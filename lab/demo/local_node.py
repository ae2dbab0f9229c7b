"""A node on this machine, as separate processes: started with `momus run`, watched by its status files."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.demo.started import Started
from ledger.errors import Unavailable
from node.home.layout import Home
from node.home.status import RUNNING, Status, StatusFile
from node.process.parent_death import guard_of

PROCESSES = ("order", "execute")
ALONE = {"MOMUS_API__PORT": "0", "MOMUS_ADMIN__LISTEN": ""}
"""Nobody asks these nodes over HTTP, unless their environment says so."""
_POLL_S = 0.02


class NodeFailed(Unavailable):
    """A command of the node ended with an error, or the node did not come up. The message quotes it."""


def momus(*arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 600) -> Any:
    """Run a command of `momus` with --json and return what it printed, parsed. Raises: NodeFailed."""
    argv = [sys.executable, "-P", "-m", "momus", *arguments, "--json"]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=timeout_s, check=False, env=_environment(environment)
    )
    if done.returncode != 0:
        raise NodeFailed(f"`momus {' '.join(arguments)}` ended with {done.returncode}: {_tail(done.stderr)}")
    return json.loads(done.stdout) if done.stdout.strip() else None


class LocalNode(Started):
    """`momus run` of one home, for as long as this process lives. Its output goes to `run.log` in the home."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = Home(home)
        self._environment = {**ALONE, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._pids_before: set[int] = set()

    @property
    def log_file(self) -> Path:
        """What the node's processes write to stderr."""
        return self.home.path / "run.log"

    def start(self, timeout_s: float = 60) -> None:
        """Start it and wait until both processes run. Raises: NodeFailed."""
        self.launch()
        self.wait_running(PROCESSES, timeout_s)

    def launch(self) -> None:
        """Start it without waiting. What the status files said before is no longer of interest."""
        self._pids_before = {status.pid for process in PROCESSES if (status := self.status(process)) is not None}
        argv = [sys.executable, "-P", "-m", "momus", "run", "--home", str(self.home.path)]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdout=log, stderr=log, env=_environment(self._environment), process_group=0
            )
        self._unguard()
        self._guard = guard_of(self._process.pid)

    def status(self, process: str) -> Status | None:
        """What one of its processes says of itself."""
        return StatusFile(self.home.status_file(process)).read()

    def wait_running(self, processes: Sequence[str], timeout_s: float, not_pid: int | None = None) -> None:
        """Until the processes run (under another pid than `not_pid`). Raises: NodeFailed."""
        deadline = time.monotonic() + timeout_s
        while not all(self._is_running(process, not_pid) for process in processes):
            if self._process is not None and self._process.poll() is not None:
                raise NodeFailed(f"`momus run` ended with {self._process.returncode}: {self.log_tail()}")
            if time.monotonic() > deadline:
                raise NodeFailed(f"{', '.join(processes)} did not run after {timeout_s:g} s: {self.log_tail()}")
            time.sleep(_POLL_S)

    def kill_9(self, process: str) -> int:
        """SIGKILL one of its processes; the pid that it had. Raises: NodeFailed where it does not run."""
        status = self.status(process)
        if status is None or not status.is_alive:
            raise NodeFailed(f"{process} does not run, so it cannot be killed")
        os.kill(status.pid, signal.SIGKILL)
        return status.pid

    def kill_9_all(self) -> None:
        """SIGKILL everything: the supervisor, with it the two processes, and Postgres."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._unguard()
        with suppress(NodeFailed):
            self.kill_9("postgres")

    def terminate(self) -> None:
        """SIGTERM: ask it to drain."""
        if self._process is not None:
            self._process.terminate()

    def stop(self, timeout_s: float = 60) -> int:
        """SIGTERM, then wait until everything has drained; the exit code. Raises: NodeFailed."""
        if self._process is None:
            return 0
        self.terminate()
        try:
            code = self._process.wait(timeout_s)
            self._unguard()
            return code
        except subprocess.TimeoutExpired as error:
            self.abort()
            raise NodeFailed(f"the node did not stop within {timeout_s:g} s: {self.log_tail()}") from error

    def wait_ended(self, timeout_s: float) -> int:
        """Wait until it ends by itself; the exit code. Raises: NodeFailed."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout_s)
            self._unguard()
            return code
        except subprocess.TimeoutExpired as error:
            raise NodeFailed(f"the node still runs after {timeout_s:g} s: {self.log_tail()}") from error

    def abort(self) -> None:
        """End it at once, with all that it started."""
        self.kill_9_all()

    def _unguard(self) -> None:
        """After its end: nothing is to be guarded any more."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None

    def log_tail(self) -> str:
        """The end of its output."""
        return _tail(self.log_file.read_text(errors="replace")) if self.log_file.exists() else "(no output)"

    def _is_running(self, process: str, not_pid: int | None) -> bool:
        status = self.status(process)
        return (
            status is not None
            and status.state == RUNNING
            and status.is_alive
            and status.pid not in {not_pid, *self._pids_before}
        )


def _environment(changes: Mapping[str, str] | None) -> dict[str, str]:
    """Ours, without settings of other nodes that may stand in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOMUS_")}
    return {**kept, **(changes or {})}


def _tail(text: str, characters: int = 2_000) -> str:
    return text.strip()[-characters:] or "(no output)"
