"""The hash of a set of leaves, which no layout, order or history can change.

A leaf is (key hash, value hash), 32 bytes each. Key hashes are read as bits, the highest first. Of the leaves that
share the first d bits:

    none    32 zero bytes
    one     ``SHA-256("momus/leaf/v1" | key hash | value hash)``, whatever d is
    more    ``SHA-256("momus/branch/v1" | hash of those whose next bit is 0 | hash of those whose next bit is 1)``

The hash of the whole set, d = 0, is its root. A lone leaf stands as high as it can, so a tree of n random keys is about
log2(n) deep (the layout of the Jellyfish Merkle tree, Gao, Hu and Wu, 2021).
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

DIGEST_SIZE: Final = 32
KEY_BITS: Final = 256
EMPTY: Final = bytes(DIGEST_SIZE)
TAG_LEAF: Final = b"momus/leaf/v1"
TAG_BRANCH: Final = b"momus/branch/v1"

Leaf = tuple[bytes, bytes]
"""(key hash, value hash)"""


def leaf_hash(key_hash: bytes, value_hash: bytes) -> bytes:
    """The hash of one leaf alone."""
    return sha256(TAG_LEAF + key_hash + value_hash).digest()


def branch_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two or more leaves, from those of its halves."""
    return sha256(TAG_BRANCH + left + right).digest()


def bit(key_hash: bytes, index: int) -> int:
    """Bit `index` of a key hash, 0 being the highest of its first byte."""
    return key_hash[index >> 3] >> (7 - (index & 7)) & 1


def hash_of(leaves: Sequence[Leaf], depth: int = 0) -> bytes:
    """The hash of leaves that share their first `depth` bits, sorted by key hash, each key hash once."""
    if len(leaves) < 2:
        return leaf_hash(*leaves[0]) if leaves else EMPTY
    low, high = 0, len(leaves)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if bit(leaves[middle][0], depth) else (middle + 1, high)
    return branch_hash(hash_of(leaves[:low], depth + 1), hash_of(leaves[low:], depth + 1))
