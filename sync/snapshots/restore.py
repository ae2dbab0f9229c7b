"""Makes a fresh database the one of a snapshot. Every part is verified against the certified root before it is written,
and what is written is not a ledger before the last one is: nothing that was altered ever executes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, groupby
from typing import Any, Final

from backbone.store.files import write_durably
from ledger.committee import Committees
from ledger.digests import remembered_next
from ledger.errors import Halt
from ledger.genesis import Genesis
from ledger.leaf_reading import read_leaf
from ledger.leaves import Kind, key_hash, value_hash
from ledger.object_parts import ObjectParts
from ledger.state import Cursor, Object
from projections.session.connect import Connection, connect
from projections.session.errors import translated
from projections.snapshots import restoring
from projections.snapshots.restoring import SnapshotLeaf
from sync.snapshots.container import DIGESTS, LEAVES, BadContainer
from sync.snapshots.manifest import (
    NAME,
    SIZE_MAX,
    BadManifest,
    Certified,
    Chunk,
    Manifest,
    Part,
    Subtree,
    certified,
    decode_manifest,
)
from sync.snapshots.stores import PartMissing, SnapshotStore
from tree.build import build_above, build_subtree
from tree.hashing import hash_of
from tree.loading import nibble
from tree.nodes import NodeKey

_EMPTY_HASH: Final = bytes(32)

OnRows = Callable[[int, int], None]
"""Told how many leaves and digests are there, and of how many."""


class BadSnapshot(Halt):
    """A snapshot is not what was written. The message names the file, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One that is offered, its certificate verified, its files unread."""

    place: SnapshotStore
    manifest: Manifest
    certified: Certified
    digest: bytes
    """Of the manifest's bytes."""

    @property
    def height(self) -> int:
        """Of the checkpoint."""
        return self.certified.checkpoint.height

    @property
    def rows(self) -> int:
        """Leaves and remembered digests."""
        return sum(part.count for part in self.manifest.parts)

    def cursor(self, genesis: Genesis, cluster_id: str) -> Cursor:
        """Where the database is when it is restored."""
        checkpoint, header = self.certified.checkpoint, self.certified.header
        return Cursor(
            genesis_digest=genesis.digest,
            chain=genesis.chain,
            cluster_id=cluster_id,
            topic_id=genesis.topic_id,
            protocol_version=header.protocol_version,
            height=checkpoint.height,
            block_digest=checkpoint.block_digest,
            time_ms=header.time_ms,
            heads=checkpoint.heads,
        )


def open_snapshot(place: SnapshotStore, height: int, genesis: Genesis, committees: Committees) -> Snapshot:
    """Raises: BadSnapshot, SnapshotStoreUnavailable."""
    try:
        document = place.read(height, NAME, SIZE_MAX)
        manifest = decode_manifest(document)
        vouched = certified(manifest, genesis, committees)
    except (PartMissing, BadManifest) as error:
        raise BadSnapshot(str(error)) from error
    if vouched.checkpoint.height != height:
        raise BadSnapshot(f"The snapshot of height {vouched.checkpoint.height} lies where that of {height} should.")
    return Snapshot(place, manifest, vouched, sha256(document).digest())


def copy_snapshot(snapshot: Snapshot, to: SnapshotStore) -> None:
    """The files as they are, unverified, in another place. Raises: BadSnapshot, SnapshotStoreUnavailable, OSError."""
    folder = to.staging(snapshot.height)
    for part in snapshot.manifest.parts:
        try:
            write_durably(folder / part.file, snapshot.place.read(snapshot.height, part.file, part.size_bytes))
        except PartMissing as error:
            raise BadSnapshot(str(error)) from error
    to.publish(snapshot.height, snapshot.place.read(snapshot.height, NAME, SIZE_MAX))


def verify_snapshot(snapshot: Snapshot, on_rows: OnRows = lambda done, total: None) -> None:
    """Read all of it and believe nothing. Raises: BadSnapshot, SnapshotStoreUnavailable."""
    buckets: dict[int, tuple[int, bytes]] = {}
    done = 0
    for number, chunk in enumerate(snapshot.manifest.chunks):
        for _, key, value, _ in read_leaves(snapshot, number):
            if key[0] == Kind.BUCKET:
                buckets[int.from_bytes(key[1:])] = int.from_bytes(value[:8]), value[8:]
        done += chunk.count
        on_rows(done, snapshot.rows)
    ends = ends_of(snapshot.manifest, buckets)
    for number, piece in enumerate(snapshot.manifest.digests):
        read_digests(snapshot, number, ends[number])
        done += piece.count
        on_rows(done, snapshot.rows)


def restore(
    snapshot: Snapshot, genesis: Genesis, url: str, cursor: Cursor, on_rows: OnRows = lambda done, total: None
) -> None:
    """Fill the fresh database at `url`, or go on where this was broken off; in the end it is at `cursor`.

    Raises: BadSnapshot, SnapshotStoreUnavailable, RestoreTargetNotFresh, DatabaseUnavailable,
    DatabaseUnusable.
    """
    with translated(), connect(url, "momus restore") as connection:
        _Restore(snapshot, genesis, connection, cursor, on_rows).run()


class _Restore:
    def __init__(
        self, snapshot: Snapshot, genesis: Genesis, connection: Connection, cursor: Cursor, on_rows: OnRows
    ) -> None:
        self._snapshot = snapshot
        self._genesis = genesis
        self._connection = connection
        self._cursor = cursor
        self._on_rows = on_rows
        self._rows = 0

    def run(self) -> None:
        snapshot, connection = self._snapshot, self._connection
        manifest, checkpoint = snapshot.manifest, snapshot.certified.checkpoint
        there = restoring.begin(connection, snapshot.height, snapshot.digest)
        for number, chunk in enumerate(manifest.chunks):
            if number not in there:
                self._chunk(number)
            self._count(chunk)
        ends = ends_of(manifest, restoring.restored_buckets(connection))
        for index, piece in enumerate(manifest.digests):
            number = len(manifest.chunks) + index
            if number not in there:
                rows = read_digests(snapshot, index, ends[index])
                restoring.write_digests(connection, number, piece.bucket, piece.first, rows)
            self._count(piece)
        subtrees = (subtree for chunk in manifest.chunks for subtree in chunk.subtrees)
        above = build_above(snapshot.height, [(it.path, it.top(snapshot.height)) for it in subtrees])
        certificate = manifest.certificate
        restoring.finish(connection, self._genesis, self._cursor, checkpoint, certificate, above.top, above.nodes)

    def _chunk(self, number: int) -> None:
        snapshot = self._snapshot
        rows = read_leaves(snapshot, number)
        nodes: dict[NodeKey, bytes] = {}
        for subtree, part in _by_subtree(snapshot.manifest.chunks[number], rows):
            leaves = [(row[0], value_hash(row[2])) for row in part]
            nodes.update(build_subtree(subtree.path, snapshot.height, leaves).nodes)
        restoring.write_leaves(self._connection, number, snapshot.height, rows, nodes)

    def _count(self, part: Part) -> None:
        self._rows += part.count
        self._on_rows(self._rows, self._snapshot.rows)


def read_leaves(snapshot: Snapshot, number: int) -> list[SnapshotLeaf]:
    """The rows of a chunk, which are all that the certified root has in its subtrees. Raises: BadSnapshot,
    SnapshotStoreUnavailable."""
    chunk = snapshot.manifest.chunks[number]
    data = _read(snapshot, chunk)
    rows = _in_order(chunk.file, LEAVES.read(data, chunk.count))
    if len(rows) != chunk.count or not all(_is_of(*each) for each in _by_subtree(chunk, rows)):
        raise BadSnapshot(f"{chunk.file}: its leaves are not those of the certified state root.")
    for _, key, value, parts in rows:
        item = read_leaf(key, value) if key[0] == Kind.OBJECT else None
        is_whole = isinstance(item, Object) and item.has(parts) if parts is not None else item is None
        if not is_whole:
            raise BadSnapshot(f"{chunk.file}: a content is not the one that its object has the hash of.")
    return rows


def _by_subtree(chunk: Chunk, rows: Sequence[SnapshotLeaf]) -> Iterator[tuple[Subtree, Sequence[SnapshotLeaf]]]:
    ends = accumulate(subtree.count for subtree in chunk.subtrees)
    for subtree, end in zip(chunk.subtrees, ends, strict=True):
        yield subtree, rows[end - subtree.count : end]


def _is_of(subtree: Subtree, rows: Sequence[SnapshotLeaf]) -> bool:
    """Whether rows in order are all that a subtree of the certified root holds."""
    depth = len(subtree.path)
    is_there = all(
        subtree.path == bytes(nibble(row[0], place) for place in range(depth)) for row in (rows[0], rows[-1])
    )
    return is_there and hash_of([(row[0], value_hash(row[2])) for row in rows], 4 * depth) == subtree.hash


def _in_order(file: str, records: Iterator[dict[str, Any]]) -> list[SnapshotLeaf]:
    """As rows. The same few bytes again and again, which pack to almost nothing, are not kept. Raises: BadSnapshot."""
    rows: list[SnapshotLeaf] = []
    before = b""
    try:
        for record in records:
            parts = record["object"] and ObjectParts(**record["object"])
            row = key_hash(record["key"]), record["key"], record["value"], parts
            if row[0] <= before:
                raise BadSnapshot(f"{file}: its leaves are not in order.")
            before = row[0]
            rows.append(row)
    except BadContainer as error:
        raise BadSnapshot(f"{file}: {error}") from error
    return rows


def read_digests(snapshot: Snapshot, index: int, end: bytes) -> list[tuple[bytes, int]]:
    """(digest, height) of a piece, which lead from the hash before it to `end`. Raises: as `read_leaves`."""
    piece = snapshot.manifest.digests[index]
    data = _read(snapshot, piece)
    running, rows = piece.before, []
    try:
        for record in DIGESTS.read(data, piece.count):
            if record["height"] < 0:
                break
            running = remembered_next(running, record["height"], record["digest"])
            rows.append((record["digest"], record["height"]))
    except BadContainer as error:
        raise BadSnapshot(f"{piece.file}: {error}") from error
    if running != end or len(rows) != piece.count:
        raise BadSnapshot(f"{piece.file}: its digests do not lead to the hash of their bucket.")
    return rows


def _read(snapshot: Snapshot, part: Part) -> bytes:
    try:
        data = snapshot.place.read(snapshot.height, part.file, part.size_bytes)
    except PartMissing as error:
        raise BadSnapshot(str(error)) from error
    if len(data) != part.size_bytes or sha256(data).hexdigest() != part.sha256:
        raise BadSnapshot(f"{part.file}: its bytes are not those that the manifest has the hash of.")
    return data


def ends_of(manifest: Manifest, buckets: Mapping[int, tuple[int, bytes]]) -> Sequence[bytes]:
    """For each piece of digests, the running hash that it must lead to; `buckets` is believed. Raises: BadSnapshot."""
    found: list[bytes] = []
    left = dict(buckets)
    for bucket, group in groupby(manifest.digests, key=lambda piece: piece.bucket):
        pieces = list(group)
        count, running = left.pop(bucket, (0, _EMPTY_HASH))
        *ranks, total = accumulate((piece.count for piece in pieces), initial=0)
        if pieces[0].before != _EMPTY_HASH or [piece.first for piece in pieces] != ranks or total != count:
            raise BadSnapshot(f"The manifest does not have all digests of bucket {bucket}, each once.")
        found += [*(piece.before for piece in pieces[1:]), running]
    if left:
        raise BadSnapshot(f"The manifest has no digests of bucket {min(left)}.")
    return found
