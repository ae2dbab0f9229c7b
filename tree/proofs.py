"""Proofs that a key has a value, or none: against a root alone.

    proof       ``siblings 2 | mask | sibling 32 * | end``     from the root down; a bit of the mask, the highest of its
                first byte first, for each level: 1, a sibling follows; 0, it is empty. The mask is padded with zeros
    end         ``0``  nothing is there; ``1``  the leaf itself; ``2 | key hash 32 | value hash 32``  another leaf alone

Whoever verifies hashes from the end upwards: at level d the bit d of the key hash says on which side it stands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final

from ledger.errors import PeerError
from tree.hashing import DIGEST_SIZE, EMPTY, KEY_BITS, Leaf, bit, branch_hash, leaf_hash
from tree.loading import Read, is_node, load, nibble
from tree.nodes import Child, Children, Half, LeafKey, halves_of

_COUNT: Final = Struct(">H")
_NOTHING, _ITSELF, _OTHER = range(3)
PROOF_SIZE_MAX: Final = _COUNT.size + KEY_BITS // 8 + KEY_BITS * DIGEST_SIZE + 1 + 2 * DIGEST_SIZE

ValueHash = Callable[[LeafKey], bytes]


class BadProof(PeerError):
    """The bytes are not those of a proof."""


@dataclass(frozen=True, slots=True)
class Proof:
    """`siblings` from the root down, `EMPTY` where there is none; `other`: the lone leaf in the place of the key."""

    siblings: tuple[bytes, ...]
    is_there: bool
    other: Leaf | None = None


def prove(root: Child | None, key_hash: bytes, read: Read, value_hash: ValueHash) -> Proof:
    """What the tree says of a key. `value_hash` is asked at most once, for the leaf that stands in its place: itself or
    another.

    Raises: TreeDamaged.
    """
    halves, end = _walk(root, key_hash, load(root, [key_hash], read))
    siblings = tuple(EMPTY if half is None else half[0] for half in halves)
    if end is None or end.key_hash is None:
        return Proof(siblings, False)
    found = end.key_hash, value_hash(LeafKey(end.key_hash, end.version))
    return Proof(siblings, True) if end.key_hash == key_hash else Proof(siblings, False, found)


def verify(root_hash: bytes, key_hash: bytes, value_hash: bytes | None, proof: Proof) -> bool:
    """Whether under `root_hash` the key has this value; None: whether it has none."""
    if proof.is_there:
        if value_hash is None or proof.other is not None:
            return False
        found = leaf_hash(key_hash, value_hash)
    else:
        if value_hash is not None or not _is_in_place(key_hash, proof):
            return False
        found = EMPTY if proof.other is None else leaf_hash(*proof.other)
    for depth in range(len(proof.siblings) - 1, -1, -1):
        sibling = proof.siblings[depth]
        found = branch_hash(sibling, found) if bit(key_hash, depth) else branch_hash(found, sibling)
    return found == root_hash


def encode_proof(proof: Proof) -> bytes:
    """The bytes of a proof."""
    mask = bytearray((len(proof.siblings) + 7) // 8)
    for index, sibling in enumerate(proof.siblings):
        if sibling != EMPTY:
            mask[index >> 3] |= 0x80 >> (index & 7)
    end = bytes((_ITSELF if proof.is_there else _NOTHING,))
    if proof.other is not None:
        end = bytes((_OTHER,)) + b"".join(proof.other)
    present = (sibling for sibling in proof.siblings if sibling != EMPTY)
    return b"".join((_COUNT.pack(len(proof.siblings)), mask, *present, end))


def decode_proof(data: bytes) -> Proof:
    """The proof of canonical bytes. Raises: BadProof."""
    if not _COUNT.size < len(data) <= PROOF_SIZE_MAX:
        raise BadProof(f"A proof of {len(data)} bytes.")
    count = _COUNT.unpack_from(data)[0]
    mask_end = _COUNT.size + (count + 7) // 8
    mask = data[_COUNT.size : mask_end]
    present = int.from_bytes(mask).bit_count()
    end = mask_end + present * DIGEST_SIZE
    if count > KEY_BITS or len(data) <= end:
        raise BadProof("The proof ends early.")
    places = iter(range(mask_end, end, DIGEST_SIZE))
    siblings = []
    for index in range(count):
        place = next(places) if bit(mask, index) else None
        siblings.append(EMPTY if place is None else data[place : place + DIGEST_SIZE])
    kind, other = data[end], data[end + 1 :]
    if kind > _OTHER or len(other) != (2 * DIGEST_SIZE if kind == _OTHER else 0):
        raise BadProof("The end of the proof is none.")
    leaf = (other[:DIGEST_SIZE], other[DIGEST_SIZE:]) if kind == _OTHER else None
    proof = Proof(tuple(siblings), kind == _ITSELF, leaf)
    if encode_proof(proof) != data:
        raise BadProof("The proof has another form than it must have.")
    return proof


# --- inside ---


def _walk(
    root: Child | None, key_hash: bytes, nodes: Mapping[bytes, Children]
) -> tuple[list[Half | None], Child | None]:
    """The siblings on the way to a key; and what stands in its place: itself, another lone leaf, or nothing."""
    siblings: list[Half | None] = []
    child, path = root, b""
    while is_node(child):
        children, number = nodes[path], nibble(key_hash, len(path))
        levels = halves_of(children)
        for width in (3, 2, 1, 0):
            place = number >> width
            siblings.append(levels[width][place ^ 1])
            half = levels[width][place]
            if half is None or half[1]:
                among = children[place << width : (place + 1) << width]
                return siblings, next((lone for lone in among if lone is not None), None)
        child, path = children[number], path + bytes((number,))
    return siblings, child


def _is_in_place(key_hash: bytes, proof: Proof) -> bool:
    """Whether the other leaf stands where the key would be."""
    if proof.other is None:
        return True
    other = proof.other[0]
    return other != key_hash and all(bit(other, depth) == bit(key_hash, depth) for depth in range(len(proof.siblings)))
