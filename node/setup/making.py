"""A home is made by one process, whole or not at all. A file in it says that it is not whole yet: its maker holds that
file locked, so that one which a killed maker has left is told from one that is being made."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from node.home.files import changing, sync_folder
from node.home.layout import UNFINISHED, HomeUnusable

_NEVER: Final = "init never overwrites. Give another --home, or remove it."


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """Make a home, or a folder of homes. Where that fails, what was made is removed again, and nothing else.

    Raises: HomeUnusable (there is something already, or another process makes it), OSError.
    """
    check_free(folder)
    made: list[Path] = []
    try:
        _make_folders(folder, made)
        mark = _claim(folder)
    except BaseException:
        _remove(made)
        raise
    try:
        yield
        with changing(folder):
            (folder / UNFINISHED).unlink()
            sync_folder(folder)
    except BaseException:
        _empty(folder)
        _remove(made)
        raise
    finally:
        os.close(mark)


def check_free(folder: Path) -> None:
    """Raises: HomeUnusable where something is there already, whole or not; OSError."""
    if folder.is_symlink() and not folder.exists():
        raise HomeUnusable(f"{folder} is a link to what is not there; {_NEVER}")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise HomeUnusable(f"{folder} exists and is no folder; {_NEVER}")
    if (folder / UNFINISHED).exists():
        raise HomeUnusable(_unfinished(folder))
    if any(folder.iterdir()):
        raise HomeUnusable(f"{folder} exists and is not empty; {_NEVER}")


def _unfinished(folder: Path) -> str:
    with suppress(OSError), (folder / UNFINISHED).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return f"{folder} is being made by another `momus init`; {_NEVER}"
    return f"{folder} is not whole: the `momus init` that made it was ended half-way. Remove it, and make it again."


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Those that are not there, the outermost first, and note which."""
    for each in reversed([folder, *folder.parents]):
        if not each.is_dir():
            with suppress(FileExistsError):
                each.mkdir(mode=0o700)
                made.append(each)


def _claim(folder: Path) -> int:
    """Of all that come here at once the first. What it holds goes with its process."""
    try:
        with changing(folder):
            check_free(folder)
            mark = os.open(folder / UNFINISHED, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(mark, fcntl.LOCK_EX)
            return mark
    except (FileExistsError, FileNotFoundError) as error:
        raise HomeUnusable(f"{folder} was being made by another `momus init`: look, and try again.") from error


def _empty(folder: Path) -> None:
    """The mark goes last: until then nobody takes what is left for a home."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == UNFINISHED):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _remove(made: list[Path]) -> None:
    """The innermost first; what somebody put something into stays."""
    for folder in reversed(made):
        with suppress(OSError):
            folder.rmdir()
