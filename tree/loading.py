"""The nodes of a stored tree on the way to some keys: read once for each level, in bytes."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard

from tree.nodes import (
    LEAF_SIZE,
    NIBBLES,
    Child,
    Children,
    Hashes,
    NodeKey,
    TreeDamaged,
    checked_hashes,
    decode_child,
    encode_child,
    split_node,
    version_of,
)

Read = Callable[[Sequence[NodeKey]], Mapping[NodeKey, bytes]]
"""The bytes of nodes by their keys; what it does not know it leaves out."""

Known = Callable[[NodeKey], bytes | None]
"""The bytes of a node that the caller itself has written or checked before, which need no check; None: to be read."""

NIBBLE_BYTES: Final = tuple(bytes((number,)) for number in range(16))
_FEW: Final = 64
Run = tuple[int, int, int]
"""(nibble, start, end) of keys that have it in common"""


@dataclass(frozen=True, slots=True)
class Subtree:
    """What stands at a path, in bytes, and which keys lie below it."""

    path: bytes
    child: bytes | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """A node on the way: its children in bytes, the keys below each, and whether it needs no check."""

    children: list[bytes | None]
    runs: list[Run]
    is_known: bool

    def checked(self, path: bytes, child: bytes | None) -> Hashes | None:
        """All hashes in the node that its parent knows as `child`; None where it needs no check.

        Raises: TreeDamaged.
        """
        return None if self.is_known or child is None else checked_hashes(path, self.children, child[8:40])


def load(root: Child | None, key_hashes: Iterable[bytes], read: Read) -> dict[bytes, Children]:
    """The nodes on the way to some keys, by path. Raises: TreeDamaged."""
    keys = sorted(key_hashes)
    top = [Subtree(b"", encode_child(root), 0, len(keys))] if is_node(root) else []
    nodes = StoredNodes(read, lambda key: None).load(keys, top)
    for path, node in nodes.items():
        above = encode_child(root) if not path and root is not None else nodes[path[:-1]].children[path[-1]]
        assert above is not None
        checked_hashes(path, node.children, above[8:40])
    return {
        path: [None if child is None else decode_child(child) for child in node.children]
        for path, node in nodes.items()
    }


def is_node(child: Child | None) -> TypeGuard[Child]:
    """Whether there are two leaves or more below."""
    return child is not None and child.key_hash is None


def nibble(key_hash: bytes, depth: int) -> int:
    """Nibble `depth` of a key hash, the high one of a byte first."""
    byte = key_hash[depth >> 1]
    return byte & 15 if depth & 1 else byte >> 4


class StoredNodes:
    """Where stored nodes come from."""

    def __init__(self, read: Read, known: Known) -> None:
        self._read = read
        self._known = known

    def load(self, keys: Sequence[bytes], tops: Iterable[Subtree]) -> dict[bytes, Loaded]:
        """The nodes `tops`, and all below them on the way to their keys, by path; hashes are not checked yet.

        Raises: TreeDamaged.
        """
        nodes: dict[bytes, Loaded] = {}
        level = list(tops)
        while level:
            below: list[Subtree] = []
            for place, node in zip(level, self.one_level(keys, level), strict=True):
                nodes[place.path] = node
                for number, first, last in node.runs:
                    child = node.children[number]
                    if child is not None and len(child) != LEAF_SIZE:
                        below.append(Subtree(place.path + NIBBLE_BYTES[number], child, first, last))
            level = below
        return nodes

    def one_level(self, keys: Sequence[bytes], level: Sequence[Subtree]) -> Iterator[Loaded]:
        """These nodes alone. Raises: TreeDamaged."""
        if len(level[0].path) >= NIBBLES:
            raise TreeDamaged("The state tree is deeper than its keys are long.")
        wanted = [NodeKey(place.path, version_of(place.child or b"")) for place in level]
        known = [self._known(key) for key in wanted]
        found = self._read([key for key, data in zip(wanted, known, strict=True) if data is None])
        for place, key, data in zip(level, wanted, known, strict=True):
            stored = found.get(key) if data is None else data
            if stored is None:
                raise TreeDamaged(f"The node {key.path.hex()} of version {key.version} of the state tree is missing.")
            runs = list(runs_of(keys, place.start, place.end, len(place.path)))
            yield Loaded(split_node(stored), runs, data is not None)


def runs_of(keys: Sequence[bytes], start: int, end: int, depth: int) -> Iterator[tuple[int, int, int]]:
    """(nibble, start, end) of the keys that have the same nibble at `depth`; they share the nibbles before."""
    place, is_low = depth >> 1, depth & 1
    if end - start == 1:
        yield _nibble(keys[start], place, is_low), start, end
        return
    while start < end:
        byte = keys[start][place]
        number = byte & 15 if is_low else byte >> 4
        stop = start + 1
        if (
            end - start > _FEW
            and (far := start + (end - start) // 16) < end
            and _nibble(keys[far], place, is_low) == number
        ):
            stop = bisect_left(keys, _first_above(keys[start], depth), start, end)
        while stop < end and _nibble(keys[stop], place, is_low) == number:
            stop += 1
        yield number, start, stop
        start = stop


def _nibble(key_hash: bytes, place: int, is_low: int) -> int:
    return key_hash[place] & 15 if is_low else key_hash[place] >> 4


def _first_above(key_hash: bytes, depth: int) -> bytes:
    """The first of 32 bytes above all that share the nibbles up to and with `depth`; after the last: all bits."""
    bits = 256 - 4 * (depth + 1)
    above = (int.from_bytes(key_hash) >> bits) + 1 << bits
    return above.to_bytes(32) if above >> 256 == 0 else b"\xff" * 33
