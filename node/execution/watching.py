"""What the execute process finds of its database and of its own progress, for its pulse."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from re import sub

import structlog
from psycopg import Error

from backbone.store import StoreReader
from node.home.layout import Home
from node.home.pulse import Part
from node.process.watching import SLOW_MS, Dependency, Work, asking, part_before, pulsing
from projections.maintenance.lock_holders import lock_waits
from projections.session.connect import Connection, connect
from projections.session.errors import DatabaseUnavailable, DatabaseUnusable, translated

_log = structlog.get_logger()


class ExecutionProgress:
    """How far execution is, and what its database said since. Told by the process, looked at by its pulse."""

    def __init__(self, final_height: Callable[[], int], before: Part | None = None) -> None:
        self._final_height = final_height
        self._work = Work(before)
        self._height: int | None = None
        self._error = ""
        self._waits = ""

    def reached(self, height: int) -> bool:
        """The database is at this height. Whether that is a step, or there is none to take."""
        is_step = (self._height is not None and height > self._height) or height >= self._final_height()
        self._height = height
        if is_step:
            self._error = ""
        return is_step

    def failed(self, error: Exception) -> None:
        """The database did not take it."""
        self._error = str(error)

    def waits(self, waits: Sequence[str]) -> None:
        """Sessions of ours wait for locks, in words; none: they do not. Logged when somebody else is waited for."""
        words = "; ".join(waits)
        if _without_ages(words) not in ("", _without_ages(self._waits)):
            _log.warning("a session waits for a lock", waits=list(waits))
        self._waits = words

    def part(self) -> Part:
        """Blocks that are final and not in the database wait."""
        height = self._height
        # Before the first one it is not known; a migration that waits is not yet at it.
        is_known = height is not None or bool(self._waits)
        waiting = max(0, self._final_height() - (height or 0)) if is_known else 0
        return self._work.part(height or 0, waiting, self._waits or self._error)


def _without_ages(words: str) -> str:
    return sub(r" for \d+ s", "", words)


class DatabaseWatch:
    """Asks the database for whom our sessions wait, over one connection as long as that lasts. `tell` gets it."""

    def __init__(self, url: str, tell: Callable[[Sequence[str]], None]) -> None:
        self._url = url
        self._tell = tell
        self._connection: Connection | None = None

    def ask(self) -> None:
        """Raises: DatabaseUnavailable, DatabaseUnusable."""
        try:
            with translated():
                if self._connection is None:
                    self._connection = connect(self._url, "momus watch", {"statement_timeout": str(SLOW_MS)})
                waits = lock_waits(self._connection)
        except (DatabaseUnavailable, DatabaseUnusable):
            self.close()
            raise
        self._tell(waits)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@contextmanager
def execution_watched(home: Home, database_url: str) -> Iterator[ExecutionProgress]:
    """Watch and tell while the body runs."""
    file = home.pulse_file("execute")
    database = Dependency()
    with StoreReader(home.store) as store:
        # The reader is one thread's at a time.
        one_at_a_time = threading.Lock()

        def final_height() -> int:
            with one_at_a_time:
                return store.last_height()

        progress = ExecutionProgress(final_height, part_before(file, "execution"))
        asked = DatabaseWatch(database_url, progress.waits)
        with (
            asking("the database", asked.ask, database, (DatabaseUnavailable, DatabaseUnusable, Error)),
            pulsing(file, lambda: {"database": database.part(), "execution": progress.part()}),
        ):
            yield progress
