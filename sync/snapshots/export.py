"""Makes the files of a snapshot from one view of a database. Whatever they hold has been verified against the root of
the view's checkpoint before they are of any use: a damaged database gives no snapshot.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import file_digest
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from ledger.checkpoint import Checkpoint
from ledger.digests import remembered_next
from ledger.genesis import Genesis
from ledger.leaves import Kind, bucket_key, bucket_value, key_hash, value_hash
from projections.session.connect import Connection
from projections.session.errors import StateDiffers
from projections.snapshots.exporting import checkpoint_of, live_leaves, remembered_digests, state_size
from sync.snapshots.container import DIGESTS, LEAVES, Container
from sync.snapshots.cutting import Bound, Cut, cuts_of
from sync.snapshots.manifest import DIGESTS_MAX, Chunk, DigestChunk, Manifest, Subtree, root_of
from tree.hashing import hash_of

CHUNK_LEAVES: Final = 16_384
CHUNK_BYTES: Final = 16 << 20
"""What a file holds at most, packed out, while the state has no more than SUBTREES times as much."""
SUBTREES: Final = 4_096
"""A larger state is cut into larger pieces, so that the manifest, which names each, stays within its own bound."""
BOUND_LEAVES_MAX: Final = 1 << 21
BOUND_BYTES_MAX: Final = 512 << 20
PIECE_DIGESTS: Final = DIGESTS_MAX
"""Remembered digests of one file."""

OnPart = Callable[[int], None]
"""Told how many leaves and digests have been written."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that were made. `checkpoint` is waiting for its certificate, if it has none yet."""

    checkpoint: Checkpoint
    chunks: tuple[Chunk, ...]
    digests: tuple[DigestChunk, ...]

    def manifest(self, genesis: Genesis, header: bytes, certificate: bytes) -> Manifest:
        """With what makes it a snapshot."""
        return Manifest(genesis.digest, header, certificate, self.chunks, self.digests)


def bound_of(leaves: int, content_bytes: int) -> Bound:
    """Of the subtrees and files of a state of about this size."""
    return Bound(
        min(max(CHUNK_LEAVES, leaves // SUBTREES), BOUND_LEAVES_MAX),
        min(max(CHUNK_BYTES, content_bytes // SUBTREES), BOUND_BYTES_MAX),
    )


def export(connection: Connection, height: int, folder: Path, on_part: OnPart = lambda count: None) -> Exported:
    """Write the files into `folder`, durably, from a view whose cursor is at the checkpoint of `height`.

    Raises: StateDiffers, DatabaseUnavailable, OSError.
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
        chunks = tuple(self._chunks(bound_of(*state_size(self._connection))))
        if root_of(chunks) != self._checkpoint.state_root:
            raise StateDiffers("The leaves of the database do not lead to its state root.")
        return Exported(self._checkpoint, chunks, tuple(self._digests()))

    def _chunks(self, bound: Bound) -> Iterator[Chunk]:
        cuts = _Ahead(cuts_of(live_leaves(self._connection), bound))
        number = 0
        while cuts.next is not None:
            subtrees: list[Subtree] = []
            name = f"leaves-{number:05}.avro"
            size, digest = self._write(name, LEAVES, self._leaves(cuts, bound, subtrees))
            yield (chunk := Chunk(name, size, digest, tuple(subtrees)))
            self._count(chunk.count)
            number += 1

    def _leaves(self, cuts: "_Ahead", bound: Bound, subtrees: list[Subtree]) -> Iterator[dict[str, Any]]:
        """As many subtrees as a file takes: their leaves as records, they themselves into `subtrees`."""
        leaves = size = 0
        while (cut := cuts.next) is not None:
            leaves, size = leaves + len(cut.rows), size + cut.size_bytes
            if subtrees and (leaves > bound.leaves or size > bound.size_bytes):
                return
            subtrees.append(self._subtree(cut))
            for _, key, value, parts in cut.rows:
                yield {"key": key, "value": value, "object": None if parts is None else asdict(parts)}
            cuts.advance()

    def _subtree(self, cut: Cut) -> Subtree:
        for stored_hash, key, value, _ in cut.rows:
            if key_hash(key) != stored_hash:
                raise StateDiffers(f"A leaf of the database does not stand where its key belongs: {key.hex()}.")
            if key[0] == Kind.BUCKET:
                self._buckets.add((key, value))
        found = [(stored_hash, value_hash(value)) for stored_hash, _, value, _ in cut.rows]
        return Subtree(cut.path, len(found), hash_of(found, 4 * len(cut.path)))

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
