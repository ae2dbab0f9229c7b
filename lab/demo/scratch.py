"""The folder that a demo or a benchmark works in: made by it, kept for looking around, replaced by the next one."""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Final

from ledger.errors import CallerError
from node.home.status import StatusFile

_MARKER = ".made-by-momus"
_PIDS_UP_FOLDERS = "run/*.json"
_held: Final[dict[Path, int]] = {}
"""Folders that this process works in, open and locked until it ends."""


class ScratchTaken(CallerError):
    """The folder is there and is not ours to replace, or something in it is still running."""


def fresh_scratch(path: Path) -> Path:
    """An empty folder at `path`. One that an earlier demo made is replaced; any other is kept.

    Raises: ScratchTaken, OSError.
    """
    if path.exists():
        remove_scratch(path)
    path.mkdir(parents=True)
    _hold(path)
    (path / _MARKER).write_text("This folder was made by `momus demo` or `momus bench` and may be deleted.\n")
    return path.absolute()


def remove_scratch(path: Path) -> None:
    """Delete a folder that a demo made. Raises: ScratchTaken, OSError."""
    _hold(path)
    if not (path / _MARKER).is_file() and any(path.iterdir()):
        raise ScratchTaken(f"{path} exists and was not made by a demo; give another folder with --scratch.")
    for file in path.rglob(_PIDS_UP_FOLDERS):
        status = StatusFile(file).read()
        if status is not None and status.is_alive:
            raise ScratchTaken(f"Process {status.pid} ({status.process}) still runs in {path}; stop it first.")
    for inner in sorted(path.iterdir(), key=lambda inner: inner.name == _MARKER):
        # The marker goes last: what a killed one leaves is still known for ours.
        if inner.is_dir() and not inner.is_symlink():
            shutil.rmtree(inner)
        else:
            inner.unlink()
    path.rmdir()
    os.close(_held.pop(path.absolute()))


def _hold(path: Path) -> None:
    """Keep others from working in it and from deleting it, until we delete it or end. Raises: ScratchTaken, OSError."""
    folder = path.absolute()
    if folder in _held:
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(opened)
        raise ScratchTaken(f"Another demo works in {path}; give another folder with --scratch.") from error
    _held[folder] = opened
