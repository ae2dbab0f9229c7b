"""One supervisor, or one rebuilding of the database, per home; and one drill."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from node.home import Home, HomeUnusable


class DrillUnderWay(Exception):
    """Another process walks a drill of this home: they would meet in the scratch database."""


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Hold the home; the lock goes with its process, however that ends. Raises: HomeUnusable where it is held."""
    try:
        with _held(home, "lock"):
            yield
    except BlockingIOError as error:
        raise HomeUnusable(f"The node in {home.path} runs already; `momus status` shows it.") from error


@contextmanager
def only_one_drill(home: Home) -> Iterator[None]:
    """As `only_one`, beside it. Raises: DrillUnderWay."""
    try:
        with _held(home, "drill.lock"):
            yield
    except BlockingIOError as error:
        raise DrillUnderWay(f"A drill of {home.path} is under way already.") from error


@contextmanager
def _held(home: Home, name: str) -> Iterator[None]:
    """Raises: BlockingIOError."""
    with (home.run / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
