"""Writing small files so that a reader, and a crash, sees the old content or the new, never a mixture."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int = 0o644, durable: bool = True) -> None:
    """Put `content` in place of `path`, whether it is there or not. Raises: OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    _write(beside, content, mode, os.O_TRUNC, durable)
    beside.replace(path)
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
