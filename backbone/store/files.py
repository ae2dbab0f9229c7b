"""The store's files: names, the one writer's lock, and appending with the durability that a crash cannot take back."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from backbone.store.values import StoreLocked


class AppendFile(Protocol):
    """A file that grows at its end. The port at which tests inject a full disk."""

    def write(self, data: bytes) -> None:
        """Append all of `data`. Raises: OSError; then any part of it may be in the file."""

    def sync(self) -> None:
        """Make what was written durable. Raises: OSError; then nothing is known of what was not durable before."""

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes. Raises: OSError."""

    def close(self) -> None: ...


OpenFile = Callable[[Path], AppendFile]
"""Opens a file for appending, creating it if need be."""


class DiskFile:
    """An AppendFile of the operating system."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> None:
        """Append all of `data`."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def sync(self) -> None:
        """fdatasync, which makes the size durable too."""
        os.fdatasync(self._descriptor)

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(self._descriptor, size)

    def close(self) -> None:
        """Close the file; what was not synced stays so."""
        os.close(self._descriptor)


class Segment(NamedTuple):
    """A segment file by its name; segments of a log sort in the order of their frames."""

    incarnation: int
    first: int
    path: Path


def segment_path(folder: Path, incarnation: int, first: int) -> Path:
    """``<incarnation, 10 digits>-<first offset or height, 20 digits>.seg``."""
    return folder / f"{incarnation:010}-{first:020}.seg"


def segments(folder: Path) -> list[Segment]:
    """The segments of a log in order; none if the folder is not there."""
    found = []
    for path in folder.glob("*-*.seg"):
        incarnation, first = path.stem.split("-")
        found.append(Segment(int(incarnation), int(first), path))
    return sorted(found)


def partition_folder(store: Path, partition: int) -> Path:
    """Where the segments of a partition lie."""
    return store / f"partition-{partition:05}"


def final_folder(store: Path) -> Path:
    """Where the segments of final blocks lie."""
    return store / "final"


def certificate_folder(store: Path) -> Path:
    """Where the segments of certificates of checkpoints lie."""
    return store / "certificates"


def make_folder(folder: Path) -> None:
    """Create a folder so that a crash cannot take it back."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Put a file in the place of another, or of none: a crash leaves it whole or not there. Raises: OSError."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the creation and removal of files in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class WriterLock:
    """The right to write a store, held until `close` or the process' end, however it ends."""

    def __init__(self, store: Path) -> None:
        """Raises: StoreLocked."""
        path = store / "lock"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise StoreLocked(f"Another process writes the store {store}: its lock {path} is held.") from error

    def close(self) -> None:
        """Give the right up."""
        os.close(self._descriptor)
