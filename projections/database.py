"""One node's database: its cursor, what execution asks of it, and the one transaction that moves it on."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg.errors import ProgramLimitExceeded

from ledger.genesis import Genesis
from ledger.state import Cursor, Effects, Inputs, Wanted
from projections.flush.checkpoints import (
    StoredCheckpoint,
    certified_height,
    insert_certificates,
    newest_checkpoints,
    write_checkpoint,
)
from projections.flush.cursor import insert_cursor, move_cursor, read_cursor
from projections.flush.flush import write_effects
from projections.flush.node_cache import NodeCache
from projections.maintenance.measuring import Measured, measured
from projections.maintenance.partition_upkeep import maintain
from projections.maintenance.partitions import make_partitions, partition_heights
from projections.maintenance.pruning import Keep, Pruned, history_floor, note_pruned, prune
from projections.maintenance.readers import TRANSACTION_S_MAX, end_readers
from projections.rows.prefetch import prefetch
from projections.session.connect import Connection, connect
from projections.session.errors import CursorMoved, DatabaseUnavailable, DatabaseUnusable, StateDiffers, translated
from projections.snapshots.restoring import begun

__all__ = ["CHANNEL", "CursorMoved", "Database", "DatabaseUnavailable", "DatabaseUnusable", "StateDiffers"]

CHANNEL: Final = "momus_flush"
"""NOTIFY channel; the payload is the height that was committed."""

_NOTIFY = f"BEGIN; SET LOCAL synchronous_commit = off; NOTIFY {CHANNEL}, '{{height}}'; COMMIT"
_PROGRESS = """INSERT INTO ledger.progress VALUES (true, %s, now())
ON CONFLICT (one) DO UPDATE SET final_height = excluded.final_height, seen_at = excluded.seen_at"""


class Database:
    """One connection, used by one thread at a time; a lost one is made anew by the next call.

    Raises, at making and in every method: DatabaseUnavailable, DatabaseUnusable. The transaction in flight is undone.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._partition_made = -1
        self._tree_nodes = NodeCache()
        with translated():
            self._connection = connect(url)

    def cursor(self) -> Cursor | None:
        """Where the database is; None before `initialise`."""
        with self._connected() as connection:
            return read_cursor(connection)

    def is_restoring(self) -> bool:
        """Whether it is being filled from a snapshot: then it has no cursor, and nothing may execute into it."""
        with self._connected() as connection:
            return begun(connection)

    def initialise(self, cursor: Cursor) -> None:
        """Write the first cursor. Raises: CursorMoved where there is one already."""
        with self._connected() as connection:
            try:
                insert_cursor(connection, cursor)
            except psycopg.errors.UniqueViolation as error:
                raise CursorMoved("The database has a cursor already.") from error

    def prefetch(self, wanted: Wanted) -> Inputs:
        """What exists of `wanted`, in one round trip."""
        with self._connected() as connection:
            return prefetch(connection, wanted)

    def flush(
        self, effects: Effects, expected_height: int, cursor: Cursor, checkpoint_of: Genesis | None = None
    ) -> StoredCheckpoint | None:
        """Write `effects` and move the cursor from `expected_height` to `cursor`, in one transaction.

        With the chain's genesis given, the last block is a checkpoint block, and the checkpoint is written too and
        returned.

        Raises: CursorMoved, StateDiffers; then nothing has changed. After DatabaseUnavailable it may have been
        committed: read the cursor.
        """
        with self._connected() as connection, connection.transaction():
            if not move_cursor(connection, expected_height, cursor):
                raise CursorMoved(f"The database is not at height {expected_height} any more.")
            partition = self._make_partitions(connection, effects)
            write_effects(connection, effects)
            written = None
            if checkpoint_of is not None:
                epoch = effects.blocks[-1].epoch
                written = write_checkpoint(connection, checkpoint_of, epoch, cursor, self._tree_nodes)
        self._partition_made = partition
        with self._connected() as connection, suppress(ProgramLimitExceeded):
            # Not in the flush: the queue may be full, since somebody listens and does not read.
            connection.execute(_NOTIFY.format(height=int(cursor.height)).encode())
        return written

    def newest_checkpoints(self, count: int) -> list[StoredCheckpoint]:
        """At most `count` checkpoints, those of the greatest heights, lowest first."""
        with self._connected() as connection:
            return newest_checkpoints(connection, count)

    def take_certificates(self, certificates: Sequence[tuple[int, bytes]]) -> None:
        """Keep certificates by the heights of their checkpoints; those that are there already are left."""
        with self._connected() as connection:
            insert_certificates(connection, certificates)

    def certified_height(self) -> int:
        """That of the newest certificate; 0 without one."""
        with self._connected() as connection:
            return certified_height(connection)

    def missing_tables(self, tables: Iterable[str]) -> list[str]:
        """Those of schema `ledger` that are not there."""
        with self._connected() as connection:
            query = "SELECT t FROM unnest(%s::text[]) AS t WHERE to_regclass('ledger.' || t) IS NULL ORDER BY t"
            return [str(row[0]) for row in connection.execute(query, [list(tables)])]

    def tell_final(self, height: int) -> None:
        """Say how far the final blocks go, for `api.status`."""
        with self._connected() as connection:
            connection.execute(_PROGRESS, (height,))

    def maintain(self) -> int:
        """Make the next partitions ahead of need and index the closed ones; how many partitions were finished.

        Any number of processes may call it, also one that was killed in the middle: it does what is missing. It takes
        as long as building indexes takes, so it wants a Database of its own.
        """
        with self._connected() as connection:
            return maintain(connection)

    def end_old_readers(self) -> int:
        """End the sessions of readers that hold up vacuum and pruning for longer than readers may; how many."""
        with self._connected() as connection:
            return end_readers(connection, TRANSACTION_S_MAX)

    def prune(self, keep: Keep, below: int) -> Pruned:
        """Remove what is superseded below a certified checkpoint of height `below`, and history as `keep` says.

        As `maintain`: from any process, at any time; it does what is due, as far as it comes.
        """
        with self._connected() as connection:
            return prune(connection, keep, below)

    def measured(self) -> Measured:
        """Sizes and counts, for who watches."""
        with self._connected() as connection:
            return measured(connection)

    def history_floor(self, keep: Keep) -> int:
        """Up to this height nothing has to stay, as `keep` says; 0: all has to."""
        with self._connected() as connection:
            return history_floor(connection, keep)

    def note_pruned_store(self, removed_bytes: int) -> None:
        """Of the store, so much was removed."""
        with self._connected() as connection:
            note_pruned(connection, 0, 0, 0, removed_bytes)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """The connection, a new one where the last was lost; psycopg's errors as ours. After any error nothing that was
        remembered of the database is believed."""
        try:
            with translated():
                if self._connection.closed:
                    self._connection = connect(self._url)
                yield self._connection
        except BaseException:
            self._tree_nodes.clear()
            raise

    def _make_partitions(self, connection: Connection, effects: Effects) -> int:
        """Those that the effects need; the number of the last. They are gone again if the transaction is undone."""
        if not effects.blocks:
            return self._partition_made
        heights = partition_heights(connection)
        first, last = effects.blocks[0].height // heights, effects.blocks[-1].height // heights
        if last > self._partition_made:
            make_partitions(connection, range(first, last + 1), heights)
        return last
