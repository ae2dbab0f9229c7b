"""Checkpoints, written by the flush that reaches them, in its transaction."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from ledger.checkpoint import Checkpoint, checkpoint_digest, encode_checkpoint
from ledger.genesis import Genesis
from ledger.header import Epoch, Head
from ledger.leaves import genesis_leaves
from ledger.state import Cursor
from projections.flush.changes import Changes
from projections.flush.node_cache import NodeCache
from projections.flush.tree import change_tree
from projections.rows.heads import heads_from_json, heads_to_json
from projections.session.connect import Connection

_COLUMNS: Final = "height, epoch, block_digest, time_ms, heads, state_root, previous, digest"
_INSERT: Final = f"INSERT INTO ledger.checkpoints ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
_NEWEST: Final = f"SELECT {_COLUMNS} FROM ledger.checkpoints ORDER BY height DESC LIMIT %s"
_INSERT_CERTIFICATE: Final = "INSERT INTO ledger.certificates VALUES (%s, %s) ON CONFLICT DO NOTHING"
_CERTIFIED: Final = "SELECT coalesce(max(height), 0) FROM ledger.certificates"


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint with its digest, and the time of its block."""

    checkpoint: Checkpoint
    digest: bytes
    time_ms: int

    @property
    def heads(self) -> tuple[Head, ...]:
        """Those of the block."""
        return self.checkpoint.heads


def write_checkpoint(
    connection: Connection, genesis: Genesis, epoch: Epoch, cursor: Cursor, cache: NodeCache
) -> StoredCheckpoint:
    """Write and return the checkpoint of the block that `cursor` is at, whose effects have been written. `cache` must
    be cleared where the caller's transaction is undone.

    Raises: StateDiffers.
    """
    last = next(iter(newest_checkpoints(connection, 1)), None)
    with closing(Changes(connection, genesis_leaves(genesis) if last is None else ())) as changes:
        root = change_tree(connection, cursor.height, changes.key_hashes, changes.take, cache)
        changes.forget()
    checkpoint = Checkpoint(
        epoch=epoch,
        height=cursor.height,
        block_digest=cursor.block_digest,
        heads=cursor.heads,
        state_root=root,
        previous=genesis.digest if last is None else last.digest,
    )
    return insert_checkpoint(connection, genesis, checkpoint, cursor.time_ms)


def insert_checkpoint(
    connection: Connection, genesis: Genesis, checkpoint: Checkpoint, time_ms: int
) -> StoredCheckpoint:
    """Write the row alone."""
    digest = checkpoint_digest(genesis, encode_checkpoint(checkpoint))
    connection.execute(
        _INSERT,
        (
            checkpoint.height,
            checkpoint.epoch,
            checkpoint.block_digest,
            time_ms,
            heads_to_json(checkpoint.heads),
            checkpoint.state_root,
            checkpoint.previous,
            digest,
        ),
    )
    return StoredCheckpoint(checkpoint, digest, time_ms)


def newest_checkpoints(connection: Connection, count: int) -> list[StoredCheckpoint]:
    """Those of the greatest heights, lowest first."""
    return [_stored(row) for row in connection.execute(_NEWEST, (count,))][::-1]


def insert_certificates(connection: Connection, certificates: Sequence[tuple[int, bytes]]) -> None:
    """(height, certificate) each; those that are there already are left."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_INSERT_CERTIFICATE, certificates)


def certified_height(connection: Connection) -> int:
    """That of the newest certificate; 0 without one."""
    row = connection.execute(_CERTIFIED).fetchone()
    assert row is not None
    return int(row[0])


def _stored(row: tuple[Any, ...]) -> StoredCheckpoint:
    height, epoch, block_digest, time_ms, heads, state_root, previous, digest = row
    checkpoint = Checkpoint(epoch, height, block_digest, heads_from_json(heads), state_root, previous)
    return StoredCheckpoint(checkpoint, digest, time_ms)
