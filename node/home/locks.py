"""One supervisor, or one rebuilding of the database, per home; one drill; and nothing is removed during a recovery."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ledger.errors import Unavailable
from node.home.layout import Home, HomeUnusable

_RECOVERY: Final = "recovery.lock"


class DrillUnderWay(Unavailable):
    """Another process runs a drill of this home: they would meet in the scratch database."""


@contextmanager
def node_lock(home: Home) -> Iterator[None]:
    """Hold the home; the lock goes with its process, however that ends. Raises: HomeUnusable where it is held."""
    try:
        with _held(home, "lock"):
            yield
    except BlockingIOError as error:
        raise HomeUnusable(f"The node in {home.path} runs already; `momus status` shows it.") from error


@contextmanager
def drill_lock(home: Home) -> Iterator[None]:
    """As `node_lock`, beside it. Raises: DrillUnderWay."""
    try:
        with _held(home, "drill.lock"):
            yield
    except BlockingIOError as error:
        raise DrillUnderWay(f"A drill of {home.path} is under way already.") from error


@contextmanager
def command_lock(home: Home, command: str) -> Iterator[None]:
    """As `drill_lock`, for another command that makes a database of its own. Raises: Unavailable."""
    try:
        with _held(home, f"{command}.lock"):
            yield
    except BlockingIOError as error:
        raise Unavailable(f"A `momus {command}` of {home.path} is under way already; wait for its end.") from error


@contextmanager
def recovering(home: Home) -> Iterator[None]:
    """While anybody holds this, no snapshot and no segment of the store is removed. Waits for a removal under way."""
    with (home.run / _RECOVERY).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def removing(home: Home) -> Iterator[bool]:
    """Whether no recovery is under way; until this ends none begins."""
    try:
        with _held(home, _RECOVERY):
            yield True
    except BlockingIOError:
        yield False


@contextmanager
def _held(home: Home, name: str) -> Iterator[None]:
    """Raises: BlockingIOError."""
    with (home.run / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
