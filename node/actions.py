"""What was done to a node by its operators: a file in which every action stands before it begins, and how it ended.

The file is what counts; `api.admin_actions` is a copy for queries, made again for a database that was built anew.
"""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from node.files import replace_file

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
    """Written by one process; the newest `KEPT` are in memory. Any thread."""

    def __init__(self, path: Path) -> None:
        """Whatever was under way when the process ended is broken off. Raises: OSError."""
        self._path = path
        self._lock = threading.Lock()
        self._kept: dict[int, Action] = {}
        self._last = 0
        for action in _read(path):
            self._keep(action)
        _renew(path, list(self._kept.values()))
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
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


def _renew(path: Path, kept: list[Action]) -> None:
    """A file that has grown large, or that ends in a torn line, is written anew. Raises: OSError."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 1))
            if size <= FILE_BYTES_MAX and stream.read(1) in (b"", b"\n"):
                return
    except FileNotFoundError:
        return
    replace_file(path, b"".join(map(_line, kept)), mode=0o600)
