"""Proofs against a root: what is true can be proven, and nothing that was altered verifies."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tree_store import TreeStore, leaves_of, name
from tests.unit.test_tree_update import KEYS, VALUES
from tree.hashing import EMPTY
from tree.proofs import (
    BadProof,
    PrefixProof,
    Proof,
    decode_proof,
    encode_proof,
    prove,
    prove_prefix,
    verify,
    verify_prefix,
)

LEAVES = st.dictionaries(KEYS, VALUES.filter(lambda value: value is not None), max_size=30)


def tree_of(leaves: dict[bytes, bytes]) -> TreeStore:
    tree = TreeStore()
    tree.change(leaves)
    return tree


def proven(tree: TreeStore, key_hash: bytes) -> Proof:
    return prove(tree.root, key_hash, tree.read, tree.value_hash)


@settings(max_examples=300, deadline=None)
@given(LEAVES, KEYS)
def test_every_key_is_proven_to_have_its_value_or_none(leaves: dict[bytes, bytes], other: bytes) -> None:
    tree = tree_of(leaves)
    for key_hash in (*leaves, other):
        proof = decode_proof(encode_proof(proven(tree, key_hash)))
        value = leaves.get(key_hash)
        assert verify(tree.root_hash(), key_hash, value, proof)
        assert not verify(tree.root_hash(), key_hash, name(99), proof)
        assert not verify(tree.root_hash(), key_hash, None if value else name(1), proof)
        assert not verify(name(98), key_hash, value, proof)


@pytest.mark.parametrize("number", [3, 1_000_003])
def test_no_altered_proof_verifies(number: int) -> None:
    tree = TreeStore()
    tree.change(leaves_of(range(200)))
    key_hash, value = name(number), tree.leaves.get(name(number))
    data = encode_proof(proven(tree, key_hash))
    assert verify(tree.root_hash(), key_hash, value, decode_proof(data))
    for place in range(len(data)):
        for flipped in (1, 128):
            altered = data[:place] + bytes((data[place] ^ flipped,)) + data[place + 1 :]
            try:
                proof = decode_proof(altered)
            except BadProof:
                continue
            assert not verify(tree.root_hash(), key_hash, value, proof)
            assert not verify(tree.root_hash(), key_hash, None if value else name(5), proof)
    for place in range(32):
        other = key_hash[:place] + bytes((key_hash[place] ^ 1,)) + key_hash[place + 1 :]
        # A proof of absence may be good for other absent keys in the same empty place; one of presence for no other.
        assert value is None or not verify(tree.root_hash(), other, value, decode_proof(data))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_proof_are_refused_or_have_one_form(data: bytes) -> None:
    try:
        proof = decode_proof(data)
    except BadProof:
        return
    assert encode_proof(proof) == data


def test_proofs_that_say_two_things_do_not_verify() -> None:
    tree = TreeStore()
    tree.change(leaves_of(range(9)))
    there, absent = proven(tree, name(3)), proven(tree, name(1000))
    value = tree.leaves[name(3)]
    assert not verify(tree.root_hash(), name(3), None, there)
    assert not verify(tree.root_hash(), name(3), value, replace(there, other=(name(3), value)))
    assert not verify(tree.root_hash(), name(3), None, replace(there, is_there=False, other=(name(3), value)))
    assert not verify(tree.root_hash(), name(1000), value, absent)


def test_the_empty_tree_proves_that_nothing_is_there() -> None:
    assert verify(EMPTY, name(1), None, proven(TreeStore(), name(1)))


@settings(max_examples=300, deadline=None)
@given(LEAVES, st.integers(0, 12), st.data())
def test_a_prefix_is_proven_with_all_its_leaves_and_no_others(leaves: dict[bytes, bytes], bits: int, data: Any) -> None:
    tree = tree_of(leaves)
    prefix = data.draw(st.integers(0, (1 << bits) - 1))
    if leaves and prefix & 1:
        prefix = int.from_bytes(data.draw(st.sampled_from(sorted(leaves)))) >> 256 - bits
    proof = prove_prefix(tree.root, prefix, bits, tree.read)
    chunk = [leaf for leaf in sorted(leaves.items()) if int.from_bytes(leaf[0]) >> 256 - bits == prefix]
    root = tree.root_hash()
    assert verify_prefix(root, prefix, bits, chunk, proof)
    for left_out in range(len(chunk)):
        assert not verify_prefix(root, prefix, bits, chunk[:left_out] + chunk[left_out + 1 :], proof)
        changed = [(key, name(97) if index == left_out else value) for index, (key, value) in enumerate(chunk)]
        assert not verify_prefix(root, prefix, bits, changed, proof)
    added = (prefix << 256 - bits | 12345).to_bytes(32)
    if added not in leaves:
        assert not verify_prefix(root, prefix, bits, sorted([*chunk, (added, name(1))]), proof)


def test_siblings_that_lie_about_what_they_are_prove_nothing() -> None:
    tree = TreeStore()
    tree.change(leaves_of(range(64)))
    for prefix in range(16):
        proof = prove_prefix(tree.root, prefix, 4, tree.read)
        chunk = [leaf for leaf in sorted(tree.leaves.items()) if leaf[0][0] >> 4 == prefix]
        for level, half in enumerate(proof.siblings):
            assert half is not None
            siblings = list(proof.siblings)
            siblings[level] = (half[0], not half[1])
            empty_too = [[], chunk] if not half[1] else [[]]
            for leaves in empty_too:
                is_same = leaves == chunk
                assert verify_prefix(tree.root_hash(), prefix, 4, leaves, PrefixProof(tuple(siblings))) <= is_same
