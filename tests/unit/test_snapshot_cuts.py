"""A state is cut into subtrees within a bound, however its leaves lie; together they are all of it, each leaf once."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.leaves import value_hash
from ledger.object_parts import ObjectParts
from projections.snapshots.exporting import LiveLeaf
from sync.snapshots.container import UNPACKED_BYTES_MAX
from sync.snapshots.cutting import Bound, Cut, cuts_of
from sync.snapshots.export import BOUND_BYTES_MAX, BOUND_LEAVES_MAX, CHUNK_BYTES, CHUNK_LEAVES, SUBTREES, bound_of
from sync.snapshots.manifest import LEAVES_MAX, Chunk, Subtree, root_of
from tree.hashing import hash_of
from tree.loading import nibble

FRAMED = 16 + 1
"""Bytes of a leaf without content."""


def _of(size: int) -> ObjectParts:
    return ObjectParts("", b"", "", bytes(size))


def rows_of(numbers: Sequence[int], shared: int, content_bytes: int) -> list[LiveLeaf]:
    """Of every two leaves one is ground: its first `shared` nibbles are those of all the other ground ones."""
    found: list[LiveLeaf] = []
    for number in numbers:
        drawn = sha256(b"%d" % number).hexdigest()
        ground = drawn if number % 2 else ("a5" * 32)[:shared] + drawn[shared:]
        found.append((bytes.fromhex(ground), b"k", b"", _of(number % (content_bytes + 1))))
    return sorted(found, key=lambda row: row[0])


def subtree(cut: Cut) -> Subtree:
    leaves = [(row[0], value_hash(row[2])) for row in cut.rows]
    return Subtree(cut.path, len(leaves), hash_of(leaves, 4 * len(cut.path)))


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 400), min_size=1, max_size=50),
    st.integers(0, 62),
    st.integers(1, 20),
    st.sampled_from([0, 9, 200]),
    st.integers(1, 500),
)
def test_cuts_are_within_the_bound_and_lead_to_the_root(
    numbers: set[int], shared: int, leaves_max: int, content_bytes: int, bytes_max: int
) -> None:
    rows = rows_of(sorted(numbers), shared, content_bytes)
    bound = Bound(leaves_max, bytes_max)
    cuts = list(cuts_of(iter(rows), bound))
    assert [row for cut in cuts for row in cut.rows] == rows
    for cut in cuts:
        assert cut.size_bytes == sum(FRAMED + (row[3].size_bytes if row[3] else 0) for row in cut.rows)
        assert len(cut.rows) == 1 or (len(cut.rows) <= leaves_max and cut.size_bytes <= bytes_max)
        beginnings = {bytes(nibble(row[0], place) for place in range(len(cut.path))) for row in cut.rows}
        assert beginnings == {cut.path}
    assert not any(low >= high or high.startswith(low) for low, high in pairwise(cut.path for cut in cuts))
    everything = hash_of([(row[0], value_hash(row[2])) for row in rows])
    found = [subtree(cut) for cut in cuts]
    assert root_of([Chunk("f", 1, "", tuple(found))]) == everything
    for left_out in range(len(found)):
        part = [Chunk("f", 1, "", (each,)) for index, each in enumerate(found) if index != left_out]
        assert root_of(part) != everything


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 400), min_size=1, max_size=50), st.integers(0, 40), st.integers(1, 20))
def test_no_subtree_could_be_cut_higher(numbers: set[int], shared: int, leaves_max: int) -> None:
    rows = rows_of(sorted(numbers), shared, 0)
    for cut in cuts_of(iter(rows), Bound(leaves_max, 1 << 30)):
        above = [row for row in rows if row[0].hex().startswith("".join(f"{n:x}" for n in cut.path[:-1]))]
        assert len(cut.rows) == 1 or cut.path == b"" or len(above) > leaves_max


def test_one_leaf_larger_than_the_bound_is_cut_alone() -> None:
    rows = rows_of(range(20), 5, 0)
    large: list[LiveLeaf] = [
        (row[0], row[1], row[2], _of(1_000 if index == 7 else 0)) for index, row in enumerate(rows)
    ]
    cuts = list(cuts_of(iter(large), Bound(100, 500)))
    (alone,) = [cut for cut in cuts if cut.size_bytes > 500]
    assert (alone.rows, len(alone.path)) == ([large[7]], 64)


@pytest.mark.parametrize("leaves", [0, 10**6, 10**9, 10**12])
@pytest.mark.parametrize("content_bytes", [0, 10**9, 10**12, 10**15])
def test_the_bound_grows_with_the_state_and_stays_what_is_restored(leaves: int, content_bytes: int) -> None:
    bound = bound_of(leaves, content_bytes)
    assert CHUNK_LEAVES <= bound.leaves <= BOUND_LEAVES_MAX < LEAVES_MAX
    assert CHUNK_BYTES <= bound.size_bytes <= BOUND_BYTES_MAX < UNPACKED_BYTES_MAX
    assert leaves < SUBTREES * (bound.leaves + 1) or bound.leaves == BOUND_LEAVES_MAX
    assert content_bytes < SUBTREES * (bound.size_bytes + 1) or bound.size_bytes == BOUND_BYTES_MAX
