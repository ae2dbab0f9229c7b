"""Building a tree from nothing in parts: subtrees one by one, each from its leaves alone, and then what lies above.

Part by part or at once, and by `update` or here: the same leaves make the same root and the same nodes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tree.hashing import Leaf, leaf_hash
from tree.loading import nibble
from tree.nodes import Child, Children, NodeKey, encode_node, node_hash

Part = tuple[bytes, Child | None]
"""(path, what stands there)"""
T = TypeVar("T")


@dataclass(slots=True)
class Built:
    """What stands at the path that was built, and the nodes that it takes, all of one version."""

    top: Child | None = None
    nodes: dict[NodeKey, bytes] = field(default_factory=dict)


def build_subtree(path: bytes, version: int, leaves: Sequence[Leaf]) -> Built:
    """The leaves whose key hashes begin with the nibbles of `path`: all of them, by rising key hash."""
    built = Built()
    items = [(key_hash, Child(version, leaf_hash(key_hash, value_hash), key_hash)) for key_hash, value_hash in leaves]
    built.top = _below(path, version, items, built)
    return built


def build_above(version: int, parts: Sequence[Part]) -> Built:
    """The whole tree from its subtrees: by rising path, no path the beginning of another; what is left out is empty."""
    built = Built()
    built.top = _above(b"", version, parts, built)
    return built


def _below(path: bytes, version: int, leaves: Sequence[tuple[bytes, Child]], built: Built) -> Child | None:
    if len(leaves) < 2:
        return leaves[0][1] if leaves else None
    depth = len(path)
    children: Children = [None] * 16
    for number, part in _runs(leaves, [nibble(key_hash, depth) for key_hash, _ in leaves]):
        children[number] = _below(path + bytes((number,)), version, part, built)
    return _node(path, version, children, built)


def _above(path: bytes, version: int, parts: Sequence[Part], built: Built) -> Child | None:
    if parts[:1] and parts[0][0] == path:
        assert len(parts) == 1, "a path is the beginning of another"
        return parts[0][1]
    if len(parts) == 1 and parts[0][1] is not None and parts[0][1].key_hash is not None:
        return parts[0][1]
    children: Children = [None] * 16
    for number, run in _runs(parts, [place[len(path)] for place, _ in parts]):
        children[number] = _above(path + bytes((number,)), version, run, built)
    return _node(path, version, children, built)


def _node(path: bytes, version: int, children: Children, built: Built) -> Child | None:
    """A new node; or, of a single leaf or nothing, no node: a lone leaf rises."""
    present = [child for child in children if child is not None]
    if not present or (len(present) == 1 and present[0].key_hash is not None):
        return present[0] if present else None
    built.nodes[NodeKey(path, version)] = encode_node(children)
    return Child(version, node_hash(children), None)


def _runs(items: Sequence[T], numbers: Sequence[int]) -> Iterator[tuple[int, Sequence[T]]]:
    """Items next to each other that have the same number."""
    start = 0
    for end in range(1, len(items) + 1):
        if end == len(items) or numbers[end] != numbers[start]:
            yield numbers[start], items[start:end]
            start = end
