"""Filling a fresh database from a snapshot, part by part, each in a transaction of its own.

A database that is being filled has no cursor, but a row in `ledger.restoring`: nothing executes into it, and who goes
on restoring the same snapshot finds which parts are there. The last transaction writes the cursor.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ledger.checkpoint import Checkpoint
from ledger.errors import CallerError
from ledger.genesis import Genesis
from ledger.leaf_reading import BucketLeaf, read_leaf
from ledger.leaves import Kind
from ledger.object_parts import ObjectParts
from ledger.state import Asset, Cursor, Object
from projections.flush.checkpoints import insert_certificates, insert_checkpoint
from projections.flush.cursor import insert_cursor, read_cursor
from projections.flush.tree import set_root, write_nodes
from projections.maintenance.pruning import note_pruned
from projections.rows.object_rows import object_fields
from projections.session.connect import Connection
from projections.session.packing import copy, int4, int8, pack_rows
from tree.nodes import Child, NodeKey

_BEGUN: Final = "SELECT height, snapshot FROM ledger.restoring"
_BEGIN: Final = "INSERT INTO ledger.restoring VALUES (true, %s, %s)"
_PARTS: Final = "SELECT number FROM ledger.restored_parts"
_NOTE: Final = "INSERT INTO ledger.restored_parts VALUES (%s)"
_END: Final = "TRUNCATE ledger.restoring, ledger.restored_parts"
_BUCKETS: Final = "SELECT bucket, count, hash FROM ledger.expiry_buckets"

SnapshotLeaf = tuple[bytes, bytes, bytes, ObjectParts | None]
"""(key hash, key, value, what an object's value has the hashes of), verified"""


class RestoreTargetNotFresh(CallerError):
    """The database holds something else than a beginning of this snapshot."""


def begun(connection: Connection) -> bool:
    """Whether the database is being filled."""
    return connection.execute(_BEGUN).fetchone() is not None


def begin(connection: Connection, height: int, snapshot: bytes) -> set[int]:
    """Begin, or go on with, the snapshot of a height, known by its digest; the parts that are there.

    Raises: RestoreTargetNotFresh.
    """
    row = connection.execute(_BEGUN).fetchone()
    if row is None:
        if read_cursor(connection) is not None:
            raise RestoreTargetNotFresh("The database holds a ledger already.")
        connection.execute(_BEGIN, (height, snapshot))
    elif (row[0], bytes(row[1])) != (height, snapshot):
        raise RestoreTargetNotFresh(f"The database holds a beginning of another snapshot, of height {row[0]}.")
    return {number for (number,) in connection.execute(_PARTS)}


def write_leaves(
    connection: Connection,
    number: int,
    version: int,
    rows: Sequence[SnapshotLeaf],
    nodes: Mapping[NodeKey, bytes],
) -> None:
    """Parts of the tree: their rows of state, leaves and nodes; in one transaction."""
    with connection.transaction():
        _write_state(connection, rows)
        stamp = int8(version)
        copy(connection, "ledger.tree_leaves", pack_rows((row[0], stamp, row[1], row[2]) for row in rows))
        write_nodes(connection, nodes)
        connection.execute(_NOTE, (number,))


def write_digests(
    connection: Connection, number: int, bucket: int, first: int, rows: Iterable[tuple[bytes, int]]
) -> None:
    """Some remembered digests of a bucket, from rank `first` on: (digest, height), in one transaction."""
    packed = ((int8(bucket), digest, int8(height), int8(rank)) for rank, (digest, height) in enumerate(rows, first))
    with connection.transaction():
        copy(connection, "ledger.remembered", pack_rows(packed))
        connection.execute(_NOTE, (number,))


def restored_buckets(connection: Connection) -> dict[int, tuple[int, bytes]]:
    """(count, running hash) by bucket."""
    return {bucket: (count, running) for bucket, count, running in connection.execute(_BUCKETS, binary=True)}


def finish(
    connection: Connection,
    genesis: Genesis,
    cursor: Cursor,
    checkpoint: Checkpoint,
    certificate: bytes,
    root: Child | None,
    nodes: Mapping[NodeKey, bytes],
) -> None:
    """What lies above the parts, the checkpoint, and the cursor; in one transaction: the database is whole."""
    with connection.transaction():
        write_nodes(connection, nodes)
        set_root(connection, root)
        insert_checkpoint(connection, genesis, checkpoint, cursor.time_ms)
        insert_certificates(connection, [(checkpoint.height, certificate)])
        note_pruned(connection, checkpoint.height, 0, 0, 0)
        insert_cursor(connection, cursor)
        connection.execute(_END)


def _write_state(connection: Connection, rows: Sequence[SnapshotLeaf]) -> None:
    tables: dict[str, list[Sequence[bytes | None]]] = {}
    for _, key, value, parts in rows:
        if key[0] == Kind.BALANCE:
            tables.setdefault("balances", []).append((key[1:33], key[33:], value))
            continue
        leaf = read_leaf(key, value)
        if isinstance(leaf, Object):
            assert parts is not None
            _add_object(tables, leaf, parts)
        elif isinstance(leaf, Asset):
            row = leaf.id, leaf.name.encode(), int4(leaf.decimals), leaf.issuer, int8(leaf.supply)
            tables.setdefault("assets", []).append(row)
        elif isinstance(leaf, BucketLeaf):
            row_of_bucket = int8(leaf.bucket), int8(leaf.count), leaf.running_hash
            tables.setdefault("expiry_buckets", []).append(row_of_bucket)
    for table, packed in tables.items():
        copy(connection, f"ledger.{table}", pack_rows(packed))


def _add_object(tables: dict[str, list[Sequence[bytes | None]]], item: Object, parts: ObjectParts) -> None:
    tables.setdefault("objects", []).append(object_fields(item))
    tables.setdefault("object_types", []).append((item.id, parts.type.encode()))
    content = item.id, int8(item.content_version), parts.media_type.encode(), parts.content
    tables.setdefault("object_contents", []).append(content)
    for start in range(0, len(parts.writers), 32):
        tables.setdefault("object_writers", []).append((item.id, parts.writers[start : start + 32]))
