"""COPY into a table, from rows packed by `packing`."""

from collections.abc import Iterator
from itertools import chain

from projections.session.connect import Connection
from projections.session.packing import COPY_HEADER, COPY_TRAILER


def copy(connection: Connection, table: str, pieces: Iterator[bytes] | Iterator[memoryview]) -> None:
    """Whole rows, in pieces; nothing is sent where there are none."""
    first = next(pieces, b"")
    if not first:
        return
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as writing:
        for piece in chain((COPY_HEADER, first), pieces, (COPY_TRAILER,)):
            writing.write(piece)
