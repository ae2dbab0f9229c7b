"""Writing small files so that a reader, and a crash, sees the old content or the new, never a mixture; and changing
them by turns, so that of several who change one none is lost."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


def replace_file(path: Path, content: bytes, mode: int = 0o600, durable: bool = True) -> None:
    """Put `content` in place of `path`, whether it is there or not. Raises: OSError."""
    with _beside(path, content, mode, durable) as beside:
        beside.replace(path)
    if durable:
        sync_folder(path.parent)


def create_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """A new file, durably. Raises: FileExistsError where there is one already; OSError."""
    with _beside(path, content, mode, True) as beside:
        path.hardlink_to(beside)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _beside(path: Path, content: bytes, mode: int, durable: bool) -> Iterator[Path]:
    """A whole file of its own, which is to become `path`. An error names the path that was meant."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(descriptor)
        yield beside
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
