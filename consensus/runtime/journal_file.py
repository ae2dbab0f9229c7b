"""The journal on disk: one file, one process that holds its lock."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from consensus.runtime.errors import JournalFailed, JournalLocked, JournalLost, JournalOfAnotherFormat
from consensus.runtime.journal import Journal, header, lost
from ledger.errors import CallerError


class JournalExists(CallerError):
    """There is a journal already; it is never overwritten."""


def create(path: Path, genesis_digest: bytes, public_key: bytes) -> None:
    """Make the journal of a key that has never signed. Raises: JournalExists, OSError."""
    if path.exists():
        raise JournalExists(f"There is a journal at {path} already.")
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, header(genesis_digest, public_key))


def open_journal(
    path: Path, genesis_digest: bytes, public_key: bytes, on_durable: Callable[[str], None] = lambda name: None
) -> Journal:
    """The journal at `path`, locked and repaired. Raises: JournalLost, JournalLocked, JournalFailed,
    JournalOfAnotherFormat."""
    file = DiskJournalFile(path)
    try:
        return Journal(file, genesis_digest, public_key, on_durable)
    except BaseException as error:
        file.close()
        if isinstance(error, JournalLost | JournalOfAnotherFormat):
            raise type(error)(f"{path}: {error}") from error
        raise


class DiskJournalFile:
    """Never makes the file. Raises (all): JournalFailed; at opening JournalLocked, JournalLost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._size = 0
        self._lock = _lock(path)

    def read(self) -> bytes | None:
        with _guarded(self._path):
            try:
                self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND)
            except FileNotFoundError:
                return None
            # A crash between a rename and the sync of its folder may have left the rename to the next loss of power.
            _sync_folder(self._path)
            data = self._path.read_bytes()
            self._size = len(data)
            return data

    def append(self, data: bytes) -> None:
        assert self._fd is not None
        with _guarded(self._path):
            _write(self._fd, data)
            os.fdatasync(self._fd)
            self._size += len(data)

    def cut(self, size_bytes: int) -> None:
        assert self._fd is not None
        with _guarded(self._path):
            os.ftruncate(self._fd, size_bytes)
            os.fsync(self._fd)
            self._size = size_bytes

    def replace(self, data: bytes) -> None:
        assert self._fd is not None
        with _guarded(self._path):
            _replace(self._path, data)
            os.close(self._fd)
            self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND)
            self._size = len(data)

    def size_bytes(self) -> int:
        return self._size

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        os.close(self._lock)


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalFailed(
            f"Writing the journal {path} failed: {error}. Free or replace the disk, then start the node again."
        ) from error


def _lock(path: Path) -> int:
    if not path.parent.is_dir():
        raise lost(f"its folder {path.parent} is not there")
    fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise JournalLocked(f"Another process runs with the journal {path}. One process per key.") from error
    return fd


def _replace(path: Path, data: bytes) -> None:
    """Write a file beside `path`, make it durable, and put it in its place."""
    beside = path.with_name(path.name + ".new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    beside.replace(path)
    _sync_folder(path)


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
