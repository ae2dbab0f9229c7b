"""Slices of the live index: small ones beside each other are merged, and those that closed partitions need no more go.

Each flush makes one, and whoever looks for an id looks into all. On a quiet chain a flush is one block.
"""

from collections.abc import Sequence
from typing import Final

from projections.rows.live_index import COLUMNS, PackedRows, write_slice
from projections.session.connect import Connection

MERGED: Final = 16
"""So many are merged at once."""
SIZE_MAX: Final = 1 << 20
"""In entries: one that is larger stays as it is."""

_SLICES: Final = "SELECT slice, entries FROM ledger.live_slices ORDER BY slice"
_LOCK: Final = "SELECT slice FROM ledger.live_slices WHERE slice = ANY(%s) FOR UPDATE"
_ROWS: Final = """SELECT slice, heads, ends, places, versions FROM ledger.live_index
WHERE indexed = %s AND slice = ANY(%s) ORDER BY slice, number"""
_DELETE: Final = (
    "DELETE FROM ledger.live_index WHERE slice = ANY(%s)",
    "DELETE FROM ledger.live_slices WHERE slice = ANY(%s)",
)
_SET_INDEXED: Final = "UPDATE ledger.layout SET indexed_below = %(below)s WHERE indexed_below < %(below)s"
_GONE: Final = """SELECT slice FROM ledger.live_slices
WHERE slice < (SELECT max(slice) FROM ledger.live_slices WHERE slice < %s)"""


def forget_slices(connection: Connection, below: int) -> None:
    """All history below that height has indexes of its own. A slice may go beyond: the last one stays."""
    with connection.transaction():
        if connection.execute(_SET_INDEXED, {"below": below}).rowcount:
            gone = [row[0] for row in connection.execute(_GONE, (below,))]
            _delete(connection, gone)


def merge_slices(connection: Connection) -> None:
    """As long as there are some to merge. What somebody else is at is left to him."""
    while run := due([(row[0], row[1]) for row in connection.execute(_SLICES)]):
        with connection.transaction():
            if len(connection.execute(_LOCK, (run,)).fetchall()) < len(run):
                return
            merged = [_read(connection, number, run).entries() for number in range(len(COLUMNS))]
            _delete(connection, run)
            write_slice(connection, run[0], merged)


def due(slices: Sequence[tuple[int, int]]) -> list[int]:
    """The consecutive ones to merge next; empty: none. Given are (slice, entries), by rising slice.

    The smallest, and only where none has more than half of all their entries: each entry is then in a slice of at least
    twice the size as before, so it is written few times.
    """
    best: tuple[int, int] | None = None
    for start in range(len(slices) - MERGED + 1):
        entries = [size for _, size in slices[start : start + MERGED]]
        total, largest = sum(entries), max(entries)
        if largest < SIZE_MAX and 2 * largest <= total and (best is None or total < best[0]):
            best = total, start
    return [] if best is None else [slice_ for slice_, _ in slices[best[1] : best[1] + MERGED]]


def _read(connection: Connection, number: int, run: Sequence[int]) -> PackedRows:
    rows = connection.execute(_ROWS, (number, run)).fetchall()
    return PackedRows(*zip(*rows, strict=True)) if rows else PackedRows((), (), (), (), ())


def _delete(connection: Connection, slices: Sequence[int]) -> None:
    for statement in _DELETE:
        connection.execute(statement, (slices,))
