"""The rows that say where a database is: cursor and checkpoints, each against itself, its neighbours and the blocks."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.checkpoint import Checkpoint, checkpoint_digest, encode_checkpoint
from ledger.genesis import Genesis
from ledger.header import Epoch, Head
from projections.audit.findings import Findings
from projections.rows.heads import heads_from_json
from projections.session.connect import Connection

_ROWS_AT_ONCE: Final = 1_000
_CURSOR: Final = """SELECT c.genesis_digest, c.chain, c.protocol_version, c.height, c.block_digest, c.time_ms, c.heads,
    b.height IS NOT NULL OR k.height IS NOT NULL,
    coalesce((b.digest, b.time_ms, b.heads) = (c.block_digest, c.time_ms, c.heads),
        (k.block_digest, k.time_ms, k.heads) = (c.block_digest, c.time_ms, c.heads)),
    (SELECT max(height) FROM ledger.blocks)
FROM ledger.cursor AS c LEFT JOIN ledger.blocks AS b ON b.height = c.height
LEFT JOIN ledger.checkpoints AS k ON b.height IS NULL AND k.height = c.height
    AND k.height <= (SELECT max(history_floor) FROM ledger.pruning)"""
"""A database that was restored has history only above its snapshot, whose checkpoint stands for the block."""
_CHECKPOINTS: Final = """SELECT c.height, c.epoch, c.block_digest, c.heads, c.state_root, c.previous, c.digest,
    b.height IS NULL OR (b.digest, b.time_ms, b.heads, b.epoch) = (c.block_digest, c.time_ms, c.heads, c.epoch),
    s.certificate
FROM ledger.checkpoints AS c LEFT JOIN ledger.blocks AS b USING (height)
LEFT JOIN ledger.certificates AS s USING (height) ORDER BY c.height"""
_STRAY: Final = """SELECT height FROM ledger.certificates AS s
WHERE NOT EXISTS (SELECT FROM ledger.checkpoints AS c WHERE c.height = s.height) ORDER BY height"""
_IS_PRUNED: Final = """SELECT coalesce((SELECT min(height) > 1 FROM ledger.blocks), false)
    OR EXISTS (SELECT FROM ledger.pruning WHERE history_floor > 0)"""
_DIGESTS: Final = """SELECT c.height, c.digest,
    s.height IS NOT NULL OR c.height > (SELECT coalesce(max(height), 0) FROM ledger.certificates)
FROM ledger.checkpoints AS c LEFT JOIN ledger.certificates AS s USING (height) WHERE c.height = ANY(%s)"""
_BLOCKS: Final = "SELECT height, digest FROM ledger.blocks ORDER BY height"


@dataclass(frozen=True, slots=True)
class CursorRow:
    """Where the database is. `block_digest` is that of the block at `height`."""

    height: int
    block_digest: bytes
    heads: tuple[Head, ...]


@dataclass(frozen=True, slots=True)
class AuditedCheckpoint:
    """A row of `checkpoints`; `digest` as computed from the row's columns; None where they make no checkpoint."""

    height: int
    state_root: bytes
    digest: bytes | None
    certificate: bytes | None


def check_cursor(connection: Connection, genesis: Genesis, findings: Findings) -> CursorRow | None:
    """The cursor; None where there is none that reads."""
    row = connection.execute(_CURSOR).fetchone()
    if row is None:
        findings.add("cursor", "one", "There is no cursor.")
        return None
    digest, chain, version, height, block_digest, _time_ms, heads, is_block_there, is_block, newest = row
    wanted = {"genesis_digest": genesis.digest, "chain": genesis.chain, "protocol_version": genesis.protocol_version}
    for name, found in zip(wanted, (digest, chain, version), strict=True):
        if found != wanted[name]:
            findings.add("cursor", name, f"It is {_plain(found)}; genesis says {_plain(wanted[name])}.")
    if height > 0 and not is_block_there:
        findings.add("cursor", "height", f"It is {height}, where there is no block.")
    elif height > 0 and not is_block:
        findings.add("cursor", f"height {height}", "Its digest, time or heads are not those of the row in blocks.")
    if (newest or 0) > height:
        findings.add("cursor", "height", f"It is {height}; there are blocks up to {newest}.")
    try:
        return CursorRow(height, block_digest, heads_from_json(heads))
    except (KeyError, TypeError, ValueError):
        findings.add("cursor", "heads", "They do not read.")
        return None


def check_checkpoints(
    connection: Connection, genesis: Genesis, height: int, findings: Findings
) -> Iterator[AuditedCheckpoint]:
    """The checkpoints, lowest first, each against its digest, its block and the one before."""
    row = connection.execute(_IS_PRUNED).fetchone()
    before: bytes | None = None if row is None or row[0] else genesis.digest
    with connection.cursor(name="audit_checkpoints") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        for at, epoch, block, heads, root, previous, digest, is_of_block, certificate in cursor.execute(_CHECKPOINTS):
            key = f"height {at}"
            computed = _digest(genesis, epoch, at, block, heads, root, previous)
            if computed != digest:
                findings.add("checkpoints", key, f"Its columns hash to {_plain(computed)}, not {_plain(digest)}.")
            if before is not None and previous != before:
                what = f"It follows {_plain(previous)}; the checkpoint before is {_plain(before)}."
                findings.add("checkpoints", key, what)
            if not is_of_block:
                findings.add("checkpoints", key, "Its digest, time, epoch or heads are not those of its block.")
            if at > height:
                findings.add("checkpoints", key, f"It lies above the cursor, which is at {height}.")
            before = digest
            yield AuditedCheckpoint(at, root, computed, certificate)
    for (at,) in connection.execute(_STRAY):
        findings.add("certificates", f"height {at}", "There is a certificate, and no checkpoint.")


def block_digests(connection: Connection) -> Iterator[tuple[int, bytes]]:
    """(height, digest) of every block row, lowest first."""
    with connection.cursor(name="audit_blocks") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        yield from cursor.execute(_BLOCKS, binary=True)


def checkpoint_digests(connection: Connection, heights: Sequence[int]) -> dict[int, tuple[bytes, bool]]:
    """Of the checkpoints at these heights: (digest, whether there is a certificate, or none above either)."""
    rows = connection.execute(_DIGESTS, [list(heights)], binary=True)
    return {height: (digest, has_certificate) for height, digest, has_certificate in rows}


def _digest(genesis: Genesis, epoch: Epoch, height: int, block: bytes, heads: Any, root: bytes, previous: bytes) -> Any:
    """None where the columns make no checkpoint."""
    try:
        checkpoint = Checkpoint(epoch, height, block, heads_from_json(heads), root, previous)
        return checkpoint_digest(genesis, encode_checkpoint(checkpoint))
    except (KeyError, TypeError, ValueError, OverflowError, struct.error):
        return None


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
