"""One supervisor, or one rebuilding of the database, per home."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from node.home import Home, HomeUnusable


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Hold the home; the lock goes with its process, however that ends. Raises: HomeUnusable where it is held."""
    with (home.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeUnusable(f"The node in {home.path} runs already; `momus status` shows it.") from error
        yield
