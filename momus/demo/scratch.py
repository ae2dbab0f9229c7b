"""The folder that a demo or a benchmark works in: made by it, kept for looking around, replaced by the next one."""

import shutil
from pathlib import Path

from node.status import StatusFile

_MARKER = ".made-by-momus"
_PIDS_UP_FOLDERS = "run/*.json"


class ScratchTaken(Exception):
    """The folder is there and is not ours to replace, or something in it is still running."""


def fresh_scratch(path: Path) -> Path:
    """An empty folder at `path`. One that an earlier demo made is replaced; any other is left alone.

    Raises: ScratchTaken, OSError.
    """
    if path.exists():
        remove_scratch(path)
    path.mkdir(parents=True)
    (path / _MARKER).write_text("This folder was made by `momus demo` or `momus bench` and may be deleted.\n")
    return path.absolute()


def remove_scratch(path: Path) -> None:
    """Delete a folder that a demo made. Raises: ScratchTaken, OSError."""
    if not (path / _MARKER).is_file():
        raise ScratchTaken(f"{path} exists and was not made by a demo; give another folder with --scratch.")
    for file in path.rglob(_PIDS_UP_FOLDERS):
        status = StatusFile(file).read()
        if status is not None and status.is_alive:
            raise ScratchTaken(f"Process {status.pid} ({status.process}) still runs in {path}; stop it first.")
    shutil.rmtree(path)
