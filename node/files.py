"""Writing small files so that a reader, and a crash, sees the old content or the new, never a mixture; and changing
them by turns, so that of several who change one none is lost."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Whoever reads a file of `folder`, changes it and writes it holds this from before the reading: others of this
    machine, threads and processes, wait. Not to be nested; goes with its process. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes, mode: int = 0o644, durable: bool = True) -> None:
    """Put `content` in place of `path`, whether it is there or not. Raises: OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}")
    try:
        _write(beside, content, mode, os.O_TRUNC, durable)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def create_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """A new file, durably. Raises: FileExistsError where there is one already; OSError."""
    _write(path, content, mode, os.O_EXCL, True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes, mode: int, flag: int, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)
        stream.write(content)
        stream.flush()
        if durable:
            os.fsync(descriptor)
