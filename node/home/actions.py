"""What was done to a node by its operators: a file in which every action stands before it begins, and how it ended.

The file is what counts; `api.admin_actions` is a copy for queries, made again for a database that was built anew.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from node.home.files import changing, replace_file

UNDER_WAY: Final = "under way"
DONE: Final = "done"
FAILED: Final = "failed"
BROKEN_OFF: Final = "broken off"
"""The node has ended before the action did."""
KEPT: Final = 10_000
FILE_BYTES_MAX: Final = 64 << 20
LINE_BYTES_MAX: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Action:
    """`number` counts from 1. `why` is the operator's own words. `result` depends on the action."""

    number: int
    at_ms: int
    actor: str
    role: str
    action: str
    arguments: Mapping[str, Any]
    why: str
    outcome: str = UNDER_WAY
    result: Mapping[str, Any] | None = None
    took_ms: int | None = None


class Actions:
    """Written by one process, which holds the file; the newest `KEPT` are in memory. Any thread."""

    def __init__(self, path: Path) -> None:
        """Whatever was under way when the process ended is broken off. Raises: OSError, also where another process
        holds the file: to that one its actions are under way."""
        self._lock = threading.Lock()
        self._kept: dict[int, Action] = {}
        self._last = 0
        with changing(path.parent):
            self._descriptor = _held(path)
            for action in _read(path):
                self._keep(action)
            if not _is_sound(self._descriptor):
                renewed = _renewed(path, self._kept.values())
                os.close(self._descriptor)
                self._descriptor = renewed
        for action in [each for each in self._kept.values() if each.outcome == UNDER_WAY]:
            self._write(replace(action, outcome=BROKEN_OFF))

    def begin(self, actor: str, role: str, action: str, arguments: Mapping[str, Any], why: str) -> Action:
        """Durable when this returns. Raises: OSError; then nothing may be done."""
        with self._lock:
            at_ms = time.time_ns() // 1_000_000
            begun = Action(self._last + 1, at_ms, actor, role, action, arguments, why)
            self._write(begun)
            return begun

    def end(self, action: Action, outcome: str, result: Mapping[str, Any] | None = None) -> Action:
        """Raises: OSError."""
        took_ms = max(0, time.time_ns() // 1_000_000 - action.at_ms)
        with self._lock:
            ended = replace(action, outcome=outcome, result=result, took_ms=took_ms)
            self._write(ended)
            return ended

    def get(self, number: int) -> Action | None:
        """One that is kept."""
        return self._kept.get(number)

    def newest(self, count: int, before: int | None = None) -> list[Action]:
        """Newest first, below number `before`."""
        with self._lock:
            numbers = [number for number in reversed(self._kept) if before is None or number < before]
            return [self._kept[number] for number in numbers[:count]]

    def close(self) -> None:
        """Nothing is written any more."""
        os.close(self._descriptor)

    def _write(self, action: Action) -> None:
        """A line that is not whole, of a disk that is full, is cut off again: the next one must not continue it."""
        size = os.fstat(self._descriptor).st_size
        try:
            _write_all(self._descriptor, _line(action))
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise
        self._keep(action)

    def _keep(self, action: Action) -> None:
        self._kept[action.number] = action
        self._last = max(self._last, action.number)
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]


def _line(action: Action) -> bytes:
    return json.dumps(asdict(action)).encode() + b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _read(path: Path) -> Iterator[Action]:
    """All that are whole; a line that a crash has left torn, or that somebody has spoilt, is passed over."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        while line := stream.readline(LINE_BYTES_MAX):
            try:
                action = Action(**json.loads(line))
                if type(action.number) is int and action.number > 0:
                    yield action
            except (ValueError, TypeError):
                continue


def _held(path: Path) -> int:
    """The file, open for appending and held until it is closed. Raises: OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise BlockingIOError(error.errno, "another process writes down actions there", str(path)) from error
    return descriptor


def _is_sound(descriptor: int) -> bool:
    """Whether the file has not grown large, and does not end in a torn line."""
    size = os.fstat(descriptor).st_size
    return size <= FILE_BYTES_MAX and os.pread(descriptor, 1, max(0, size - 1)) in (b"", b"\n")


def _renewed(path: Path, kept: Iterable[Action]) -> int:
    """A file in its place, with what is kept, held. Raises: OSError."""
    replace_file(path, b"".join(map(_line, kept)), mode=0o600)
    return _held(path)
