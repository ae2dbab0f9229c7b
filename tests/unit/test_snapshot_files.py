"""What a snapshot's files and manifest may say, and what is refused before anything is believed."""

import json
import zlib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint
from ledger.formats import SNAPSHOT
from sync.snapshots import container, restore
from sync.snapshots.container import DIGESTS, LEAVES, BadContainer
from sync.snapshots.manifest import (
    DIGESTS_MAX,
    LEAVES_MAX,
    BadManifest,
    Certified,
    Chunk,
    DigestChunk,
    Manifest,
    Subtree,
    decode_manifest,
    encode_manifest,
)
from sync.snapshots.restore import BadSnapshot, Snapshot, ends_of

ROWS = [{"height": number, "digest": bytes([number]) * 32} for number in range(5)]


def written(rows: Sequence[dict[str, object]] = ROWS) -> bytes:
    file = BytesIO()
    DIGESTS.write(file, rows)
    return file.getvalue()


def _object(size: int) -> dict[str, object]:
    return {"type": "t", "writers": b"w" * 32, "media_type": "m", "content": bytes(size)}


def test_a_file_gives_back_what_was_written_in_blocks_of_any_number() -> None:
    leaves = [
        {"key": b"k" * 65, "value": bytes(n % 251), "object": None if n % 2 else _object(n)} for n in range(2_000)
    ]
    file = BytesIO()
    LEAVES.write(file, leaves)
    assert list(LEAVES.read(file.getvalue(), len(leaves))) == leaves
    assert list(DIGESTS.read(written(()), 0)) == []


@given(st.integers(0, len(written()) - 1), st.integers(1, 255))
def test_altered_bytes_are_refused_or_decode_within_bounds(place: int, change: int) -> None:
    data = bytearray(written())
    data[place] ^= change
    try:
        rows = list(DIGESTS.read(bytes(data), len(ROWS)))
    except BadContainer:
        return
    assert len(rows) <= len(ROWS)


@given(st.integers(0, len(written()) - 1))
def test_file_that_ends_early_gives_less_or_is_refused(end: int) -> None:
    try:
        rows = list(DIGESTS.read(written()[:end], len(ROWS)))
    except BadContainer:
        return
    assert rows == []


def test_file_of_another_schema_or_with_more_records_is_refused() -> None:
    with pytest.raises(BadContainer, match="begin"):
        list(LEAVES.read(written(), 99))
    with pytest.raises(BadContainer, match="more than 4"):
        list(DIGESTS.read(written(), 4))


def test_block_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "BLOCK_BYTES_MAX", 50)
    with pytest.raises(BadContainer, match="too large"):
        list(DIGESTS.read(written(), 99))


def test_file_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousandth of it is enough to write it down."""
    leaves = [{"key": b"k", "value": b"v", "object": _object(1 << 16)} for _ in range(20)]
    file = BytesIO()
    LEAVES.write(file, leaves)
    assert len(file.getvalue()) < 1 << 14
    monkeypatch.setattr(container, "UNPACKED_BYTES_MAX", 1 << 20)
    with pytest.raises(BadContainer, match="unpacks to more"):
        list(LEAVES.read(file.getvalue(), 20))


def test_packed_bytes_that_go_on_are_refused() -> None:
    empty = written(())
    packing = zlib.compressobj(wbits=-15)
    packed = packing.compress(bytes(40)) + packing.flush() + b"more than a checksum"
    block = bytes((2, 2 * len(packed))) + packed + empty[-16:]
    with pytest.raises(BadContainer, match="other bytes follow"):
        list(DIGESTS.read(empty + block, 99))


def piece(bucket: int, first: int, count: int, before: bytes) -> DigestChunk:
    return DigestChunk("digests-00000.avro", 1, "00" * 32, count, bucket, first, before)


def manifest(*pieces: DigestChunk) -> Manifest:
    return Manifest(bytes(32), b"h", b"c", (), pieces)


ZERO, A, B, C = bytes(32), b"a" * 32, b"b" * 32, b"c" * 32


def test_pieces_lead_from_nothing_to_the_hash_of_each_bucket() -> None:
    pieces = piece(1, 0, 3, ZERO), piece(1, 3, 2, A), piece(7, 0, 1, ZERO)
    assert ends_of(manifest(*pieces), {1: (5, B), 7: (1, C)}) == [A, B, C]


@pytest.mark.parametrize(
    ("pieces", "buckets"),
    [
        ((), {1: (5, B)}),
        ((piece(1, 0, 5, ZERO),), {}),
        ((piece(1, 0, 5, A),), {1: (5, B)}),
        ((piece(1, 1, 4, ZERO),), {1: (5, B)}),
        ((piece(1, 0, 4, ZERO),), {1: (5, B)}),
        ((piece(1, 0, 3, ZERO), piece(1, 2, 3, A)), {1: (5, B)}),
        ((piece(1, 0, 5, ZERO), piece(7, 0, 1, ZERO), piece(1, 0, 5, ZERO)), {1: (5, B), 7: (1, C)}),
    ],
)
def test_pieces_that_leave_out_or_repeat_digests_are_refused(
    pieces: Sequence[DigestChunk], buckets: Mapping[int, tuple[int, bytes]]
) -> None:
    with pytest.raises(BadSnapshot):
        ends_of(manifest(*pieces), buckets)


def test_manifest_without_all_chunks_is_refused() -> None:
    with pytest.raises(BadManifest):
        decode_manifest(encode_manifest(manifest()))


WHOLE = "ab" * 32


@pytest.mark.parametrize(
    "subtrees",
    [
        ["a 2 H", "a 2 H"],
        ["b 2 H", "a 2 H"],
        ["a 2 H", "ab 2 H"],
        [" 2 H", "f 2 H"],
        ["ab 2 H", f"{WHOLE} 1 H"],
        ["a 1 H"],
        [f"{WHOLE} 2 H"],
        ["a 0 H"],
        ["a 02 H"],
        ["a -2 H"],
        ["A 2 H"],
        [f"{WHOLE}0 1 H"],
        ["a 2 HH"],
        ["a 2"],
        ["a  2 H"],
        ["a 2 H\n"],
        [["a", 2, "H"]],
        [],
    ],
    ids=str,
)
def test_subtrees_that_overlap_or_are_none_are_refused(subtrees: Sequence[object]) -> None:
    chunk = Chunk("leaves-00000.avro", 1, "00" * 32, (Subtree(b"\x0a", 2, A),))
    document = json.loads(encode_manifest(Manifest(bytes(32), b"h", b"c", (chunk,), ())))
    filled = [each.replace("H", A.hex()) if isinstance(each, str) else each for each in subtrees]
    document["chunks"][0]["subtrees"] = filled
    with pytest.raises(BadManifest):
        decode_manifest(json.dumps(document).encode())


@pytest.mark.parametrize("version", [SNAPSHOT.version - 1, SNAPSHOT.version + 1])
def test_a_manifest_of_another_format_is_told_with_its_format(version: int) -> None:
    chunk = Chunk("leaves-00000.avro", 1, "00" * 32, (Subtree(b"", 2, A),))
    document = json.loads(encode_manifest(Manifest(bytes(32), b"h", b"c", (chunk,), ())))
    # A later one may have fields that this one does not know.
    data = json.dumps(document | {"format": f"momus.snapshot.v{version}", "later": 1}).encode()
    with pytest.raises(BadManifest, match=f"has snapshot format {version}, this program has snapshot format"):
        decode_manifest(data)


@pytest.mark.parametrize(("kind", "most"), [("chunks", LEAVES_MAX), ("digests", DIGESTS_MAX)])
def test_counts_that_no_memory_holds_are_refused(kind: str, most: int) -> None:
    chunk = Chunk("leaves-00000.avro", 1, "00" * 32, (Subtree(b"", LEAVES_MAX, A),))
    whole = Manifest(bytes(32), b"h", b"c", (chunk,), (piece(1, 0, DIGESTS_MAX, ZERO),))
    assert decode_manifest(encode_manifest(whole)) == whole
    document = json.loads(encode_manifest(whole))
    document["chunks"][0]["subtrees"][0] = f"a {most + 1} {A.hex()}" if kind == "chunks" else f"a 2 {A.hex()}"
    document["digests"][0]["count"] = most + 1
    with pytest.raises(BadManifest, match="leaves" if kind == "chunks" else "count"):
        decode_manifest(json.dumps(document).encode())


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.avro", "/leaves.avro", "..avro", "a/b.avro", "leaves\n.avro", ".avro"]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    chunk = Chunk("leaves-00000.avro", 1, "00" * 32, (Subtree(b"", 2, A),))
    document = json.loads(encode_manifest(Manifest(bytes(32), b"h", b"c", (chunk,), ())))
    document["chunks"][0]["file"] = name
    with pytest.raises(BadManifest, match="file"):
        decode_manifest(json.dumps(document).encode())


class Kept:
    """A place with one file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, height: int, name: str, size_max: int) -> bytes:
        return self._data


def test_leaf_again_and_again_is_refused_at_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four million of them pack to a few kilobytes, and unpacked they are gigabytes."""
    kept: list[bytes] = []

    def noted(key: bytes) -> bytes:
        kept.append(key)
        return sha256(key).digest()

    monkeypatch.setattr(restore, "key_hash", noted)
    file = BytesIO()
    LEAVES.write(file, ({"key": b"k", "value": b"", "object": None} for _ in range(20_000)))
    chunk = Chunk(
        "leaves-00000.avro",
        len(file.getvalue()),
        sha256(file.getvalue()).hexdigest(),
        (Subtree(b"", LEAVES_MAX, A),),
    )
    place: Any = Kept(file.getvalue())
    vouched: Any = Certified(Checkpoint(0, 7, ZERO, (), ZERO, ZERO), None)  # type: ignore[arg-type]
    with pytest.raises(BadSnapshot, match="not in order"):
        restore.read_leaves(Snapshot(place, Manifest(bytes(32), b"h", b"c", (chunk,), ()), vouched, ZERO), 0)
    assert len(kept) == 2
