"""Proofs against a root: what is true can be proven, and nothing that was altered verifies."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tree_store import TreeStore, leaves_of, name
from tests.unit.test_tree_update import KEYS, VALUES
from tree.hashing import EMPTY
from tree.proofs import (
    BadProof,
    Proof,
    decode_proof,
    encode_proof,
    prove,
    verify,
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
