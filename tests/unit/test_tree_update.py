"""The state tree: its root is that of the set of leaves, whatever led there, and every version stays whole."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tree_store import Changes, TreeStore, leaves_of, name
from tree.hashing import EMPTY, branch_hash, hash_of, leaf_hash
from tree.loading import load, nibble
from tree.nodes import (
    NODE_SIZE_MAX,
    Child,
    NodeKey,
    TreeDamaged,
    decode_child,
    decode_node,
    encode_child,
    encode_node,
    node_hash,
)
from tree.update import Update, update, update_in_parts

CLOSE = [bytes(31) + bytes((n,)) for n in range(8)] + [bytes((n,)) + bytes(31) for n in (1, 128, 129, 255)]
KEYS = st.one_of(st.sampled_from(CLOSE), st.integers(0, 40).map(name))
VALUES = st.one_of(st.none(), st.integers(0, 3).map(name))
BATCHES = st.lists(st.dictionaries(KEYS, VALUES, max_size=12), max_size=8)


@settings(max_examples=300, deadline=None)
@given(BATCHES)
def test_the_root_is_that_of_the_leaves_whatever_led_to_them(batches: list[Changes]) -> None:
    tree = TreeStore()
    for batch in batches:
        tree.change(batch)
        assert tree.root_hash() == tree.naive()
    assert {key for is_leaf, key, _ in tree.reachable(tree.version) if is_leaf} == set(tree.leaves)


@settings(max_examples=200, deadline=None)
@given(BATCHES)
def test_what_is_stale_is_what_no_later_version_reaches(batches: list[Changes]) -> None:
    tree = TreeStore()
    for batch in batches:
        tree.change(batch)
    for version in range(1, tree.version + 1):
        before, after = tree.reachable(version - 1), tree.reachable(version)
        assert {key for since, key in tree.stale if since == version} == before - after
        assert all(written == version for _, _, written in after - before)
    assert tree.stored() == set.union(*(tree.reachable(version) for version in tree.roots))
    tree.prune(tree.version)
    assert tree.stored() == tree.reachable(tree.version)


@settings(max_examples=300, deadline=None)
@given(BATCHES, st.integers(1, 5))
def test_a_batch_in_parts_does_what_it_does_at_once(batches: list[Changes], part_max: int) -> None:
    tree = TreeStore()
    for batch in batches:
        before, parts, asked = tree.root, list[Update](), list[bytes]()

        def value_hashes(keys: Sequence[bytes], batch: Changes = batch, asked: list[bytes] = asked) -> Changes:
            asked += keys
            return {key: batch[key] for key in keys}

        nodes = dict(tree.nodes)
        root = update_in_parts(
            before,
            tree.version + 1,
            sorted(batch),
            value_hashes,
            lambda keys, nodes=nodes: {key: nodes[key] for key in keys},  # type: ignore[misc]
            parts.append,
            part_max,
        )
        done = tree.change(batch)
        assert root == done.root
        assert asked == sorted(batch)
        for which in ("stale_nodes", "stale_leaves", "leaves"):
            assert sorted(item for part in parts for item in getattr(part, which)) == sorted(getattr(done, which))
        assert {key: node for part in parts for key, node in part.written.items()} == done.written
        assert sum(len(part.written) for part in parts) == len(done.written)


def test_a_part_of_a_large_batch_is_small() -> None:
    tree = TreeStore()
    tree.change(leaves_of(range(2_000)))
    parts: list[Update] = []
    changes = {name(number): name(number + (1 << 41)) for number in range(2_000)}
    update_in_parts(
        tree.root, 2, sorted(changes), lambda keys: {k: changes[k] for k in keys}, tree.read, parts.append, 50
    )
    assert max(len(part.leaves) for part in parts) <= 50
    assert sum(len(part.leaves) for part in parts) == 2_000


def test_neighbouring_subtrees_are_one_part_where_they_fit_into_it() -> None:
    tree = TreeStore()
    tree.change(leaves_of(range(2_000)))
    parts: list[Update] = []
    changes = {name(number): name(number + (1 << 41)) for number in range(2_000)}
    keys, largest = sorted(changes), max(sum(key[0] >> 4 == number for key in changes) for number in range(16))
    root = update_in_parts(tree.root, 2, keys, lambda keys: changes, tree.read, parts.append, 4 * largest)
    assert root == tree.change(changes).root
    assert len([part for part in parts if part.leaves]) == 4


@settings(max_examples=200, deadline=None)
@given(BATCHES, st.integers(1, 5), st.randoms(use_true_random=False))
def test_nodes_that_are_known_are_not_read_and_change_nothing_else(
    batches: list[Changes], part_max: int, chance: Random
) -> None:
    tree = TreeStore()
    for batch in batches:
        known = {key: node for key, node in tree.nodes.items() if chance.random() < 0.5}
        asked: list[NodeKey] = []

        def read(keys: Sequence[NodeKey], asked: list[NodeKey] = asked) -> dict[NodeKey, bytes]:
            asked += keys
            return tree.read(keys)

        before, version, parts = tree.root, tree.version + 1, list[Update]()
        done = tree.change(batch)

        def value_hashes(keys: Sequence[bytes], batch: Changes = batch) -> Changes:
            return batch

        root = update_in_parts(before, version, sorted(batch), value_hashes, read, parts.append, part_max, known.get)
        assert root == done.root
        assert {key: node for part in parts for key, node in part.written.items()} == done.written
        assert not known.keys() & set(asked)


def test_a_thousand_leaves_in_one_batch_or_many_in_any_order_make_the_same_root() -> None:
    numbers = list(range(1000))
    at_once, in_parts = TreeStore(), TreeStore()
    at_once.change(leaves_of(numbers))
    Random(7).shuffle(numbers)
    in_parts.change(leaves_of(range(1000, 1300)))
    for start in range(0, 1000, 90):
        in_parts.change(leaves_of(numbers[start : start + 90]))
    in_parts.change(dict.fromkeys(leaves_of(range(1000, 1300))))
    assert at_once.root_hash() == in_parts.root_hash() == at_once.naive()


def test_the_hashes_are_those_of_the_definition() -> None:
    low, high = bytes(32), b"\x80" + bytes(31)
    close = bytes(31) + b"\x01"
    lone = leaf_hash(low, name(1))
    assert hash_of([]) == EMPTY
    assert hash_of([(low, name(1))]) == lone
    assert hash_of([(low, name(1)), (high, name(2))]) == branch_hash(lone, leaf_hash(high, name(2)))
    deep = branch_hash(lone, leaf_hash(close, name(3)))
    for _ in range(255):
        deep = branch_hash(deep, EMPTY)
    assert hash_of([(low, name(1)), (close, name(3))]) == deep


def test_the_root_of_known_leaves_never_changes() -> None:
    tree = TreeStore()
    tree.change(leaves_of(range(100)))
    assert tree.root_hash().hex() == "42b25357dfd84b7db0e5cf0b3cb418c6eccea3f74e5bbd4fdc6655c1ad07d766"


def test_each_level_is_read_once_and_only_what_is_on_the_way() -> None:
    tree = TreeStore()
    tree.change(leaves_of(range(2000)))
    tree.reads = 0
    done = tree.change({name(5): name(0)})
    assert tree.reads == len(done.written) == len(done.stale_nodes) <= 4
    assert done.leaves == [name(5)]
    assert [leaf.key_hash for leaf in done.stale_leaves] == [name(5)]


def test_changes_that_change_nothing_leave_no_trace() -> None:
    tree = TreeStore()
    tree.change(leaves_of(range(50)))
    done = tree.change({**leaves_of(range(9)), name(77): None})
    assert done.root == tree.roots[1]
    assert (done.written, done.leaves, done.stale_nodes, done.stale_leaves) == ({}, [], [], [])


def test_old_versions_stay_readable_until_they_are_pruned() -> None:
    tree = TreeStore()
    for start in range(0, 300, 30):
        tree.change(leaves_of(range(start, start + 60)))
    assert all(tree.reachable(version) for version in range(1, 11))
    tree.prune(5)
    assert tree.reachable(5)
    with pytest.raises(KeyError):
        tree.reachable(4)


def test_a_missing_or_damaged_node_is_told() -> None:
    tree = TreeStore()
    tree.change(leaves_of(range(50)))
    key = NodeKey(b"", 1)
    whole = tree.nodes.pop(key)
    with pytest.raises(TreeDamaged, match="missing"):
        update(tree.root, 2, {name(1): None}, tree.read)
    for damaged in (whole[:-1], whole + b"\0", b"", b"\0\0\0\1", bytes(NODE_SIZE_MAX + 1)):
        tree.nodes[key] = damaged
        with pytest.raises(TreeDamaged):
            update(tree.root, 2, {name(1): None}, tree.read)


@pytest.mark.parametrize("depth", [0, 1])
def test_a_node_that_has_another_hash_than_its_parent_says_is_told(depth: int) -> None:
    tree = TreeStore()
    tree.change(leaves_of(range(300)))
    key = NodeKey(bytes((nibble(name(1), 0),))[:depth], 1)
    whole = tree.nodes[key]
    beside = next(n for n, child in enumerate(decode_node(whole)) if child and n != nibble(name(1), depth))
    for damaged in (_with_other_hash(whole, beside), _without(whole, beside)):
        tree.nodes[key] = damaged
        with pytest.raises(TreeDamaged, match="another hash"):
            tree.change({name(1): name(2)})
        with pytest.raises(TreeDamaged, match="another hash"):
            load(tree.root, [name(1)], tree.read)
    tree.nodes[key] = whole
    tree.change({name(1): name(2)})
    assert tree.root_hash() == tree.naive()


def test_a_leaf_in_the_place_of_another_is_told_though_the_hash_is_the_same() -> None:
    tree = TreeStore()
    low, high, moved = bytes(32), b"\xf0" + bytes(31), b"\xc0" + bytes(31)
    tree.change({low: name(1), high: name(2)})
    key = NodeKey(b"", 1)
    children = decode_node(tree.nodes[key])
    children[12], children[15] = children[15], None
    assert node_hash(children) == tree.root_hash()
    tree.nodes[key] = encode_node(children)
    for changes in ({low: name(3)}, {moved: name(3)}):
        with pytest.raises(TreeDamaged, match="belongs elsewhere"):
            tree.change(changes)


def test_a_tree_deeper_than_its_keys_is_told() -> None:
    tree = TreeStore()
    below = Child(1, name(1), None)
    tree.nodes = {NodeKey(bytes(depth), 1): encode_node([below, *[None] * 15]) for depth in range(70)}
    with pytest.raises(TreeDamaged, match="deeper"):
        update(below, 2, {bytes(32): name(1)}, tree.read)


def test_nodes_and_children_read_back() -> None:
    children = [None, Child(7, name(1), None), Child(9, name(2), name(3)), *[None] * 12, Child(1 << 60, name(4), None)]
    assert decode_node(encode_node(children)) == children
    for child in children:
        assert child is None or decode_child(encode_child(child)) == child
    with pytest.raises(TreeDamaged):
        decode_child(b"short")


def _with_other_hash(node: bytes, number: int) -> bytes:
    """The node, one bit of a child's hash turned."""
    children = decode_node(node)
    child = children[number]
    assert child is not None
    children[number] = child._replace(hash=bytes((child.hash[0] ^ 1,)) + child.hash[1:])
    return encode_node(children)


def _without(node: bytes, number: int) -> bytes:
    children = decode_node(node)
    children[number] = None
    return encode_node(children)
