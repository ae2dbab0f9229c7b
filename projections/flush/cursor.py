"""The cursor: how far the database is."""

from typing import Any, Final

from ledger.state import Cursor
from projections.rows.heads import heads_from_json, heads_to_json
from projections.session.connect import Connection

_COLUMNS: Final = "genesis_digest, chain, cluster_id, topic_id, protocol_version, height, block_digest, time_ms, heads"
_READ: Final = f"SELECT {_COLUMNS} FROM ledger.cursor"
_INSERT: Final = f"INSERT INTO ledger.cursor (one, {_COLUMNS}) VALUES (true, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_MOVE: Final = """UPDATE ledger.cursor
SET protocol_version = %s, height = %s, block_digest = %s, time_ms = %s, heads = %s WHERE height = %s"""


def read_cursor(connection: Connection) -> Cursor | None:
    """None before the first one was written."""
    row = connection.execute(_READ).fetchone()
    if row is None:
        return None
    values = (*row[:8], heads_from_json(row[8]))
    return Cursor(*values)


def insert_cursor(connection: Connection, cursor: Cursor) -> None:
    """The first one. Raises: psycopg.errors.UniqueViolation."""
    identity = cursor.genesis_digest, cursor.chain, cursor.cluster_id, cursor.topic_id
    connection.execute(_INSERT, (*identity, *_place(cursor)))


def move_cursor(connection: Connection, expected_height: int, cursor: Cursor) -> bool:
    """Whether it was at the height that was expected."""
    return connection.execute(_MOVE, (*_place(cursor), expected_height)).rowcount == 1


def _place(cursor: Cursor) -> tuple[Any, ...]:
    heads = heads_to_json(cursor.heads)
    return cursor.protocol_version, cursor.height, cursor.block_digest, cursor.time_ms, heads
