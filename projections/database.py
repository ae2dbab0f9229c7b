"""One node's database: its cursor, what execution asks of it, and the one transaction that moves it on."""

from types import TracebackType
from typing import Any, Final, Self

import psycopg

from ledger.state import Cursor, Effects, Inputs, Wanted
from projections.errors import CursorMoved, DatabaseUnavailable, unavailable
from projections.flush import StateDiffers, write_effects
from projections.heads import heads_from_json, heads_to_json
from projections.packing import PackedArray, PackedArrayDumper
from projections.partitions import create_partition, unindexed
from projections.prefetch import prefetch

__all__ = ["CHANNEL", "CursorMoved", "Database", "DatabaseUnavailable", "StateDiffers"]

CHANNEL: Final = "momus_flush"
"""NOTIFY channel; the payload is the height that was committed."""
CONNECT_TIMEOUT_S: Final = 10

_COLUMNS = "genesis_digest, chain, cluster_id, topic_id, protocol_version, height, block_digest, time_ms, heads"
_INITIALISE = f"INSERT INTO ledger.cursor (one, {_COLUMNS}) VALUES (true, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_MOVE = """UPDATE ledger.cursor SET protocol_version = %s, height = %s, block_digest = %s, time_ms = %s, heads = %s
WHERE height = %s"""
_PROGRESS = """INSERT INTO ledger.progress VALUES (true, %s, now())
ON CONFLICT (one) DO UPDATE SET final_height = excluded.final_height, seen_at = excluded.seen_at"""


class Database:
    """One connection, used by one thread at a time. Raises, at making and in every method: DatabaseUnavailable."""

    def __init__(self, url: str) -> None:
        with unavailable():
            self._connection = psycopg.connect(
                url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, application_name="momus"
            )
        self._connection.adapters.register_dumper(PackedArray, PackedArrayDumper)
        self._partition_made = -1

    def cursor(self) -> Cursor | None:
        """Where the database is; None before `initialise`."""
        with unavailable():
            row = self._connection.execute(f"SELECT {_COLUMNS} FROM ledger.cursor").fetchone()
        if row is None:
            return None
        values = (*row[:8], heads_from_json(row[8]))
        return Cursor(*values)

    def initialise(self, cursor: Cursor) -> None:
        """Write the first cursor. Raises: CursorMoved where there is one already."""
        values = self._identity(cursor) + self._place(cursor)
        try:
            with unavailable():
                self._connection.execute(_INITIALISE, values)
        except psycopg.errors.UniqueViolation as error:
            raise CursorMoved("The database has a cursor already.") from error

    def prefetch(self, wanted: Wanted) -> Inputs:
        """What exists of `wanted`, in one round trip."""
        with unavailable():
            return prefetch(self._connection, wanted)

    def flush(self, effects: Effects, expected_height: int, cursor: Cursor) -> None:
        """Write `effects` and move the cursor from `expected_height` to `cursor`, in one transaction.

        Raises: CursorMoved, StateDiffers; then nothing has changed. After DatabaseUnavailable it may have been
        committed: read the cursor.
        """
        with unavailable(), self._connection.transaction():
            moved = self._connection.execute(_MOVE, (*self._place(cursor), expected_height))
            if moved.rowcount != 1:
                raise CursorMoved(f"The database is not at height {expected_height} any more.")
            self._make_partitions(effects)
            write_effects(self._connection, effects)
            self._connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(cursor.height)))

    def tell_final(self, height: int) -> None:
        """Say how far the final blocks go, for `api.status`."""
        with unavailable():
            self._connection.execute(_PROGRESS, (height,))

    def maintain(self) -> int:
        """Make the next partitions ahead of need and index the closed ones; how many indexes were built.

        Any number of processes may call it, also one that was killed in the middle: it does what is missing.
        """
        with unavailable():
            heights = self._partition_heights()
            row = self._connection.execute("SELECT height FROM ledger.cursor").fetchone()
            if row is None:
                return 0
            live = row[0] // heights
            with self._connection.transaction():
                self._lock_layout()
                create_partition(self._connection, live + 1, heights)
            built = 0
            for statement in unindexed(self._connection, live):
                built += self._build(statement)
            return built

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_partitions(self, effects: Effects) -> None:
        if not effects.blocks:
            return
        heights = self._partition_heights()
        first, last = effects.blocks[0].height // heights, effects.blocks[-1].height // heights
        if last <= self._partition_made:
            return
        self._lock_layout()
        for number in range(first, last + 1):
            create_partition(self._connection, number, heights)
        self._partition_made = last

    def _partition_heights(self) -> int:
        row = self._connection.execute("SELECT partition_heights FROM ledger.layout").fetchone()
        assert row is not None
        return int(row[0])

    def _lock_layout(self) -> None:
        """Flush and maintenance make partitions in turn."""
        self._connection.execute("SELECT 1 FROM ledger.layout FOR UPDATE")

    def _build(self, statement: str) -> int:
        try:
            self._connection.execute(statement)
        except psycopg.errors.DuplicateTable:
            return 0
        return 1

    @staticmethod
    def _identity(cursor: Cursor) -> tuple[Any, ...]:
        return cursor.genesis_digest, cursor.chain, cursor.cluster_id, cursor.topic_id

    @staticmethod
    def _place(cursor: Cursor) -> tuple[Any, ...]:
        heads = heads_to_json(cursor.heads)
        return cursor.protocol_version, cursor.height, cursor.block_digest, cursor.time_ms, heads
