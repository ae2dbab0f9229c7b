"""Makes the files of a snapshot from one view of a database. Whatever they hold has been verified against the root of
the view's checkpoint before they are of any use: a damaged database gives no snapshot.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import file_digest
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from ledger.checkpoint import Checkpoint
from ledger.digests import remembered_next
from ledger.genesis import Genesis
from ledger.leaves import Kind, bucket_key, bucket_value, value_hash
from projections.connect import Connection
from projections.errors import StateDiffers
from projections.exporting import checkpoint_of, live_leaves, remembered_digests, state_size
from projections.tree import read_nodes, root_of
from sync.snapshots.container import BLOCK_BYTES_MAX, DIGESTS, LEAVES, UNPACKED_BYTES_MAX, Container
from sync.snapshots.manifest import DIGESTS_MAX, LEAVES_MAX, NIBBLES_MAX, Chunk, DigestChunk, Manifest
from tree.hashing import Leaf
from tree.proofs import prove_prefix, verify_prefix

CHUNK_LEAVES: Final = 16_384
CHUNK_BYTES: Final = 16 << 20
"""A chunk is meant to have at most so many on the average, as long as there are not more than 16 ** NIBBLES_MAX."""

PIECE_DIGESTS: Final = DIGESTS_MAX
"""Remembered digests of one file."""
_FRAMING: Final = 16
"""About what a record has beside its bytes, at most."""

OnPart = Callable[[int], None]
"""Told how many leaves and digests have been written."""


class ChunkTooLarge(Exception):
    """Nobody would restore such a snapshot, so there is none."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that were made. `checkpoint` is waiting for its certificate, if it has none yet."""

    checkpoint: Checkpoint
    nibbles: int
    chunks: tuple[Chunk, ...]
    digests: tuple[DigestChunk, ...]

    def manifest(self, genesis: Genesis, header: bytes, certificate: bytes) -> Manifest:
        """With what makes it a snapshot."""
        return Manifest(genesis.digest, header, certificate, self.nibbles, self.chunks, self.digests)


def export(connection: Connection, height: int, folder: Path, on_part: OnPart = lambda count: None) -> Exported:
    """Write the files into `folder`, durably, from a view whose cursor is at the checkpoint of `height`.

    Raises: StateDiffers, ChunkTooLarge, DatabaseUnavailable, OSError.
    """
    return _Export(connection, height, folder, on_part).run()


class _Export:
    def __init__(self, connection: Connection, height: int, folder: Path, on_part: OnPart) -> None:
        self._connection = connection
        self._folder = folder
        self._on_part = on_part
        self._checkpoint = checkpoint_of(connection, height).checkpoint
        self._buckets: set[tuple[bytes, bytes]] = set()
        self._written = 0

    def run(self) -> Exported:
        nibbles = _nibbles(*state_size(self._connection))
        chunks = tuple(self._chunks(nibbles))
        digests = tuple(self._digests())
        return Exported(self._checkpoint, nibbles, chunks, digests)

    def _chunks(self, nibbles: int) -> Iterator[Chunk]:
        root = root_of(self._connection)
        bits = 4 * nibbles
        rows = _Ahead(live_leaves(self._connection))
        for number in range(1 << bits):
            leaves: list[Leaf] = []
            name = f"leaves-{number:05}.avro"
            size, digest = self._write(name, LEAVES, self._leaves(rows, number, bits, leaves))
            proof = prove_prefix(root, number, bits, lambda keys: read_nodes(self._connection, keys))
            if not verify_prefix(self._checkpoint.state_root, number, bits, leaves, proof):
                raise StateDiffers(f"The leaves of the database do not lead to its state root: {name}.")
            self._count(len(leaves))
            yield Chunk(name, size, digest, len(leaves), proof)
        if rows.next is not None:
            raise StateDiffers("The leaves of the database are not in order.")

    def _leaves(self, rows: "_Ahead", number: int, bits: int, leaves: list[Leaf]) -> Iterator[dict[str, Any]]:
        """Those of a chunk, as records, and as leaves into `leaves`. Raises: ChunkTooLarge."""
        size = 0
        while (row := rows.next) is not None and int.from_bytes(row[0][:4]) >> 32 - bits == number:
            key_hash, key, value, content = row
            if key[0] == Kind.BUCKET:
                self._buckets.add((key, value))
            leaves.append((key_hash, value_hash(value)))
            size += len(key) + len(value) + len(content or b"") + _FRAMING
            if len(leaves) > LEAVES_MAX or size > UNPACKED_BYTES_MAX - BLOCK_BYTES_MAX:
                raise ChunkTooLarge(f"Chunk {number} of the state is larger than what is restored.")
            yield {"key": key, "value": value, "content": content}
            rows.advance()

    def _digests(self) -> Iterator[DigestChunk]:
        found = set()
        number = 0
        for bucket, rows in groupby(remembered_digests(self._connection), key=lambda row: row[0]):
            count, running = 0, bytes(32)
            ahead = _Ahead(rows)
            while ahead.next is not None:
                name, before, piece = f"digests-{number:05}.avro", running, _Piece(ahead, running)
                size, digest = self._write(name, DIGESTS, piece.records())
                yield DigestChunk(name, size, digest, piece.count, bucket, count, before)
                running, count, number = piece.running, count + piece.count, number + 1
                self._count(piece.count)
            found.add((bucket_key(bucket), bucket_value(count, running)))
        if found != self._buckets:
            raise StateDiffers("The remembered digests of the database are not those of its state root.")

    def _write(self, name: str, container: Container, records: Iterator[dict[str, Any]]) -> tuple[int, str]:
        """(size in bytes, SHA-256)"""
        with (self._folder / name).open("w+b") as file:
            container.write(file, records)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
            file.seek(0)
            return size, file_digest(file, "sha256").hexdigest()

    def _count(self, count: int) -> None:
        self._written += count
        self._on_part(self._written)


class _Piece:
    """At most PIECE_DIGESTS digests of a bucket, and the running hash up to their end."""

    def __init__(self, ahead: "_Ahead", running: bytes) -> None:
        self._ahead = ahead
        self.running = running
        self.count = 0

    def records(self) -> Iterator[dict[str, Any]]:
        while (row := self._ahead.next) is not None and self.count < PIECE_DIGESTS:
            _, digest, height = row
            self.running = remembered_next(self.running, height, digest)
            self.count += 1
            yield {"height": height, "digest": digest}
            self._ahead.advance()


class _Ahead:
    """An iterator whose next item is known; None at the end."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self.next: Any = next(items, None)

    def advance(self) -> None:
        self.next = next(self._items, None)


def _nibbles(leaves: int, content_bytes: int) -> int:
    parts = max(leaves / CHUNK_LEAVES, content_bytes / CHUNK_BYTES)
    return next((n for n in range(NIBBLES_MAX) if 16**n >= parts), NIBBLES_MAX)
