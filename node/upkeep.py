"""Beside execution, on a connection of its own: closed partitions get their indexes, `api.status` its lag."""

import threading
from pathlib import Path
from typing import Final

import structlog

from backbone.store import StoreDamaged, StoreReader
from projections.database import Database, DatabaseUnavailable, DatabaseUnusable

TELL_S: Final = 1.0
MAINTAIN_EVERY: Final = 5
"""Maintenance is due once in so many tellings."""

_log = structlog.get_logger()


class Upkeep:
    """A thread that ends when `stop` is set. Nothing that it does or fails to do changes what is executed."""

    def __init__(self, database_url: str, store: Path, stop: threading.Event) -> None:
        self._url = database_url
        self._store = StoreReader(store)
        self._stop = stop
        self._told = -1
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """After `stop` was set: wait a moment for the thread. An index that is half built is built anew next time."""
        self._thread.join(timeout=2 * TELL_S)

    def _run(self) -> None:
        turn = 0
        while not self._stop.wait(TELL_S):
            try:
                with Database(self._url) as database:
                    self._tell(database)
                    if turn % MAINTAIN_EVERY == 0:
                        database.maintain()
                turn += 1
            except (DatabaseUnavailable, DatabaseUnusable, StoreDamaged) as error:
                _log.warning("upkeep postponed", reason=str(error))

    def _tell(self, database: Database) -> None:
        height = self._store.last_height()
        if height != self._told:
            database.tell_final(height)
            self._told = height
