"""Nodes of sixteen children, and their bytes.

A node stands for all leaves whose key hashes begin with the nibbles of its *path*; it holds at least two. Its child of
a nibble is nothing, a lone leaf, or a node with a path one longer. Every node has the version at which it was written,
and is never changed: who knows the root of a version finds that version's whole tree.

A leaf is known by its key hash and the version of its last write, not by its place: it keeps both when its neighbours
come and go.

    node    ``children 2 | leaves 2 | child*``              bit n of the masks: the child of nibble n
    child   ``version 8 | hash 32 | key hash 32, of leaves only``
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from ledger.errors import Halt
from tree.hashing import DIGEST_SIZE, EMPTY, KEY_BITS, TAG_BRANCH, branch_hash

NIBBLES: Final = KEY_BITS // 4
_MASKS: Final = Struct(">HH")
_BRANCH: Final = Struct(">Q32s")
_LEAF: Final = Struct(">Q32s32s")
LEAF_SIZE: Final = _LEAF.size
NODE_SIZE_MAX: Final = _MASKS.size + 16 * LEAF_SIZE
_HASH_AND_A_BYTE: Final = slice(8, 8 + DIGEST_SIZE + 1)
_BEFORE_RIGHT: Final = TAG_BRANCH + EMPTY
_ALL: Final = range(15, 0, -1)
_ABOVE: Final = tuple(tuple(16 + number >> level for level in range(1, 5)) for number in range(16))

Hashes = list[bytes | None]
"""A node's children at 16 to 31, above 2n and 2n + 1 their common half at n, the node itself at 1; 0 is not used.
Each is its hash, or, where it is a lone leaf, the hash and a byte of its key hash: the size says which.
"""


class TreeDamaged(Halt):
    """Stored nodes are not what was written: the tree must be built anew from the state."""


class Child(NamedTuple):
    """What a node knows of a child: `hash` as in `hashing`; `key_hash` is that of a lone leaf, else None."""

    version: int
    hash: bytes
    key_hash: bytes | None


class NodeKey(NamedTuple):
    """Where a node is found: its path, a byte per nibble, and its version."""

    path: bytes
    version: int


class LeafKey(NamedTuple):
    """Where the value of a leaf is found: its key hash, and the version of its last write."""

    key_hash: bytes
    version: int


Children = list[Child | None]
"""Sixteen of them."""


def encode_child(child: Child) -> bytes:
    """The bytes of a child; also how a root is kept."""
    if child.key_hash is None:
        return _BRANCH.pack(child.version, child.hash)
    return _LEAF.pack(*child)


def decode_child(data: bytes) -> Child:
    """Back from `encode_child`. Raises: TreeDamaged."""
    if len(data) == _LEAF.size:
        return Child._make(_LEAF.unpack(data))
    if len(data) == _BRANCH.size:
        return Child._make((*_BRANCH.unpack(data), None))
    raise TreeDamaged(f"The root of the state tree has {len(data)} bytes.")


def encode_node(children: Children) -> bytes:
    """The bytes of a node."""
    return join_node([child and encode_child(child) for child in children])


def decode_node(data: bytes) -> Children:
    """The children of a node. Raises: TreeDamaged."""
    return [None if child is None else decode_child(child) for child in split_node(data)]


def version_of(child: bytes) -> int:
    """Of the bytes of a child."""
    return int.from_bytes(child[:8])


# --- children as their bytes: what changes a hundred thousand leaves makes no objects of those beside them ---


def split_node(data: bytes) -> list[bytes | None]:
    """The bytes of a node's sixteen children. Raises: TreeDamaged."""
    if not _MASKS.size <= len(data) <= NODE_SIZE_MAX:
        raise TreeDamaged(f"A node of the state tree has {len(data)} bytes.")
    present, leaves = _MASKS.unpack_from(data)
    size = _MASKS.size + present.bit_count() * _BRANCH.size + leaves.bit_count() * DIGEST_SIZE
    if leaves & ~present or len(data) != size:
        raise TreeDamaged("The bytes of a node of the state tree do not fit its masks.")
    children: list[bytes | None] = [None] * 16
    place, bit = _MASKS.size, 1
    for nibble in range(16):
        if present & bit:
            end = place + (LEAF_SIZE if leaves & bit else _BRANCH.size)
            children[nibble] = data[place:end]
            place = end
        bit <<= 1
    return children


def join_node(children: Sequence[bytes | None]) -> bytes:
    """A node of the bytes of its sixteen children."""
    present = leaves = 0
    bit = 1
    for child in children:
        if child is not None:
            present |= bit
            if len(child) == LEAF_SIZE:
                leaves |= bit
        bit <<= 1
    return _MASKS.pack(present, leaves) + b"".join(filter(None, children))


def hash_node(children: Sequence[bytes | None]) -> bytes:
    """The hash of a node of two leaves or more, from the bytes of its children."""
    found = hashes_of(children)[1]
    assert found is not None
    return found


def hashes_of(children: Sequence[bytes | None]) -> Hashes:
    """All hashes in a node, from the bytes of its children."""
    hashes: Hashes = [None] * 16
    hashes += [child and child[_HASH_AND_A_BYTE] for child in children]
    _climb(hashes, _ALL)
    return hashes


def rehash(hashes: Hashes, children: Sequence[bytes | None], numbers: Sequence[int]) -> bytes | None:
    """The node's hash after the children of these nibbles changed: only what is above them is hashed anew."""
    for number in numbers:
        child = children[number]
        hashes[16 + number] = child and child[_HASH_AND_A_BYTE]
    if len(numbers) == 1:
        _climb(hashes, _ABOVE[numbers[0]])
    else:
        _climb(hashes, sorted({place for number in numbers for place in _ABOVE[number]}, reverse=True))
    return hashes[1]


def checked_hashes(path: bytes, children: Sequence[bytes | None], expected: bytes) -> Hashes:
    """All hashes in a stored node, which must have the hash that its parent has for it, and its lone leaves the path.

    Not seen: a leaf's version, and the bits of its key hash after the path; those only the leaf's value can prove.
    Raises: TreeDamaged.
    """
    hashes = hashes_of(children)
    if hashes[1] != expected:
        raise TreeDamaged(f"The node {path.hex()} of the state tree has another hash than its parent has for it.")
    stop, shift = 41 + (len(path) >> 1), 0 if len(path) & 1 else 4
    first = int(path.hex()[1::2] or "0", 16) << 4
    for number, child in enumerate(children, first):
        if child is not None and len(child) == LEAF_SIZE and int.from_bytes(child[40:stop]) >> shift != number:
            raise TreeDamaged(f"A leaf in the node {path.hex()} of the state tree belongs elsewhere.")
    return hashes


def _climb(hashes: Hashes, places: Iterable[int]) -> None:
    """Hash the halves at `places`, the lower ones first."""
    for place in places:
        left, right = hashes[2 * place], hashes[2 * place + 1]
        if left is None:
            is_risen = right is None or len(right) > DIGEST_SIZE
            hashes[place] = right if is_risen else sha256(_BEFORE_RIGHT + (right or b"")).digest()
        elif right is None:
            hashes[place] = left if len(left) > DIGEST_SIZE else sha256(TAG_BRANCH + left + EMPTY).digest()
        else:
            hashes[place] = sha256(TAG_BRANCH + left[:DIGEST_SIZE] + right[:DIGEST_SIZE]).digest()


# --- halves ---


Half = tuple[bytes, bool]
"""The hash of some leaves, and whether it is only one."""


def join(left: Half | None, right: Half | None) -> Half | None:
    """One level up: a lone leaf rises, anything else is a branch; None: no leaf."""
    if left is None:
        if right is None or right[1]:
            return right
        return branch_hash(EMPTY, right[0]), False
    if right is None:
        return left if left[1] else (branch_hash(left[0], EMPTY), False)
    return branch_hash(left[0], right[0]), False


def halves_of(children: Sequence[Child | None]) -> list[list[Half | None]]:
    """The four levels of bits in a node, from its sixteen children up to its own hash."""
    level: list[Half | None] = [child and (child.hash, child.key_hash is not None) for child in children]
    levels = [level]
    while len(level) > 1:
        level = [join(level[index], level[index + 1]) for index in range(0, len(level), 2)]
        levels.append(level)
    return levels


def node_hash(children: Sequence[Child | None]) -> bytes:
    """The hash of a node of two leaves or more."""
    return hash_node([child and encode_child(child) for child in children])
