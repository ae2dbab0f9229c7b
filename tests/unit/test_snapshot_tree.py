"""A tree built in parts is the tree that updates lead to."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree_store import TreeStore
from tree.build import build_above, build_subtree
from tree.hashing import EMPTY, Leaf, hash_of
from tree.loading import nibble


def leaves_of(numbers: set[int]) -> list[Leaf]:
    """Half of them share their first 17 nibbles."""
    found = []
    for number in numbers:
        drawn = sha256(b"%d" % number).digest()
        found.append((drawn if number % 2 else b"\xa5" * 8 + b"\xa0" + drawn[:23], sha256(drawn).digest()))
    return sorted(found)


def cut(leaves: list[Leaf], path: bytes, count_max: int) -> list[tuple[bytes, list[Leaf]]]:
    """Parts of at most so many leaves, the empty ones left out."""
    if not leaves:
        return []
    if len(leaves) <= count_max:
        return [(path, leaves)]
    found = []
    for number in range(16):
        part = [leaf for leaf in leaves if nibble(leaf[0], len(path)) == number]
        found += cut(part, path + bytes((number,)), count_max)
    return found


@given(st.sets(st.integers(0, 400), max_size=60), st.integers(1, 30))
def test_parts_make_the_nodes_and_the_root_of_one_update(numbers: set[int], count_max: int) -> None:
    leaves = leaves_of(numbers)
    store = TreeStore()
    store.change(dict(leaves))
    parts, nodes = [], {}
    for path, part in cut(leaves, b"", count_max):
        built = build_subtree(path, store.version, part)
        parts.append((path, built.top))
        nodes.update(built.nodes)
    whole = build_above(store.version, parts)
    nodes.update(whole.nodes)
    assert whole.top == store.root
    assert nodes == store.nodes
    assert (EMPTY if whole.top is None else whole.top.hash) == hash_of(leaves)


def test_a_path_within_another_is_no_part() -> None:
    (leaf,) = leaves_of({1})
    top = build_subtree(b"", 1, [leaf]).top
    with pytest.raises(AssertionError, match="beginning"):
        build_above(1, [(b"\x01", top), (b"\x01\x02", top)])
