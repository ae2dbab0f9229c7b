"""A database as of exactly one checkpoint, while execution goes on: exported by a transaction that began between the
flush that reached it and the next, imported by another process.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from ledger.leaf_reading import read_leaf
from ledger.object_parts import ObjectParts
from ledger.state import Object
from projections.flush.checkpoints import StoredCheckpoint, newest_checkpoints
from projections.rows.object_rows import parts_of
from projections.session.connect import Connection, connect
from projections.session.errors import StateDiffers, translated

_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_CURSOR: Final = "SELECT height FROM ledger.cursor"
_SIZE: Final = """SELECT (SELECT count(*) FROM ledger.balances) + (SELECT count(*) FROM ledger.objects)
    + (SELECT count(*) FROM ledger.assets),
    (SELECT coalesce(sum(content_size_bytes), 0)::bigint FROM ledger.objects)"""
_LEAVES: Final = """SELECT l.key_hash, l.key, l.value FROM ledger.tree_leaves AS l
WHERE NOT EXISTS (SELECT FROM ledger.tree_stale AS s WHERE s.is_leaf AND s.key = l.key_hash AND s.version = l.version)
ORDER BY l.key_hash"""
_REMEMBERED: Final = "SELECT bucket, digest, height FROM ledger.remembered ORDER BY bucket, rank"
_ROWS_AT_ONCE: Final = 5_000
_CONTENT_BYTES_AT_ONCE: Final = 8 << 20

LiveLeaf = tuple[bytes, bytes, bytes, ObjectParts | None]
"""(key hash, key, value, what an object's value has the hashes of)"""
_Read = tuple[tuple[bytes, bytes, bytes], Object | None]


class ExportedView:
    """A view of the database that other connections may import for as long as this one is open."""

    def __init__(self, url: str) -> None:
        """Raises: DatabaseUnavailable, DatabaseUnusable."""
        with translated():
            self._connection = connect(url, "momus snapshot")
            try:
                self._connection.execute(_BEGIN)
                self.id = str(_one(self._connection, "SELECT pg_export_snapshot()"))
            except BaseException:
                self._connection.close()
                raise

    @property
    def height(self) -> int:
        """The cursor's in this view."""
        with translated():
            return int(str(_one(self._connection, _CURSOR)))

    def close(self) -> None:
        """Who has not imported it by now cannot any more."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def imported_view(url: str, view: str, height: int) -> Iterator[Connection]:
    """A connection that sees an exported view, whose cursor is at `height`.

    Raises: DatabaseUnavailable, DatabaseUnusable; StateDiffers, where the cursor is not there.
    """
    with translated(), connect(url, "momus snapshot") as connection:
        connection.execute(_BEGIN)
        connection.execute(f"SET TRANSACTION SNAPSHOT '{view}'")
        found = _one(connection, _CURSOR)
        if found != height:
            raise StateDiffers(f"The view is of height {found}, not of {height}.")
        yield connection


def checkpoint_of(connection: Connection, height: int) -> StoredCheckpoint:
    """The checkpoint of the view. Raises: StateDiffers where its newest one is another."""
    newest = newest_checkpoints(connection, 1)
    if not newest or newest[0].checkpoint.height != height:
        raise StateDiffers(f"The database has no checkpoint of height {height}.")
    return newest[0]


def state_size(connection: Connection) -> tuple[int, int]:
    """(leaves, bytes of objects' contents), about."""
    row = connection.execute(_SIZE).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def live_leaves(connection: Connection) -> Iterator[LiveLeaf]:
    """What is under the newest state root, by rising key hash. Raises: StateDiffers where an object is missing."""
    with connection.cursor(name="snapshot_leaves") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(_LEAVES, binary=True)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            group: list[_Read] = []
            size = 0
            for row in rows:
                leaf = read_leaf(row[1], row[2])
                item = leaf if isinstance(leaf, Object) else None
                group.append((row, item))
                size += 0 if item is None else item.content_size_bytes + 32 * item.writers
                if size >= _CONTENT_BYTES_AT_ONCE:
                    yield from _with_parts(connection, group)
                    group, size = [], 0
            yield from _with_parts(connection, group)


def remembered_digests(connection: Connection) -> Iterator[tuple[int, bytes, int]]:
    """(bucket, digest, height), by bucket and in order of execution."""
    with connection.cursor(name="snapshot_digests") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        yield from cursor.execute(_REMEMBERED, binary=True)


def _with_parts(connection: Connection, rows: Sequence[_Read]) -> Iterator[LiveLeaf]:
    wanted = [item for _, item in rows if item is not None]
    found = parts_of(connection, wanted) if wanted else {}
    for (key_hash, key, value), item in rows:
        parts = None
        if item is not None:
            parts = found.get(item.id)
            if parts is None or not item.has(parts):
                raise StateDiffers(f"The object {item.id.hex()} is not the one that the state tree has.")
        yield key_hash, key, value, parts


def _one(connection: Connection, query: str) -> object:
    row = connection.execute(query).fetchone()
    return None if row is None else row[0]
