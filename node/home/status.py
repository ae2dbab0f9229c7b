"""What a process of a node is doing: one small file each, replaced atomically, read by `momus status` and tests."""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from node.home.files import replace_file

STARTING: Final = "starting"
RUNNING: Final = "running"
DRAINING: Final = "draining"
STOPPED: Final = "stopped"
CRASHED: Final = "crashed"
HALTED: Final = "halted"
PAUSED: Final = "paused"
GONE: Final = "gone"
"""Ended without saying so. No process says this of itself."""
STATES: Final = (STARTING, RUNNING, DRAINING, STOPPED, CRASHED, HALTED, PAUSED)
_ALIVE: Final = (STARTING, RUNNING, DRAINING)


@dataclass(frozen=True, slots=True)
class Status:
    """`since_ms` is when the state was entered, wall clock; `detail` a sentence (of a halt: with its remedy)."""

    process: str
    pid: int
    state: str
    since_ms: int
    detail: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether the state is one of a living process and the pid is there."""
        return self.state in _ALIVE and is_running(self.pid)

    @property
    def seen(self) -> str:
        """The state as others see it: GONE where the process is not there any more."""
        return GONE if self.state in _ALIVE and not self.is_alive else self.state


class StatusFile:
    """The status of one process. Not durable: after a crash of the machine nothing runs anyway."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, state: str, detail: str = "", pid: int | None = None) -> None:
        """Say that the process (default: this one) has entered `state`.

        Where the disk refuses, nothing is said: what a process does must not hang on telling of it.
        """
        status = Status(self._path.stem, pid or os.getpid(), state, time.time_ns() // 1_000_000, detail)
        with suppress(OSError):
            replace_file(self._path, json.dumps(asdict(status)).encode(), durable=False)

    def read(self) -> Status | None:
        """The last status; None before the first."""
        try:
            return Status(**json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def is_alive(self) -> bool:
        """Whether the process lives now."""
        said = self.read()
        return said is not None and said.is_alive


def statuses(folder: Path) -> list[Status]:
    """Of all processes that have a file in a home's `run`, by name."""
    return [said for file in sorted(folder.glob("*.json")) if (said := StatusFile(file).read()) is not None]


def is_running(pid: int) -> bool:
    """Whether a process with this id lives. One that has ended, and that its parent has not waited for, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
