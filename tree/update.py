"""Changing many leaves at once: every node on the way is read once, hashed once and written once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard, TypeVar

from tree.hashing import leaf_hash
from tree.nodes import Child, Children, LeafKey, NodeKey, TreeDamaged, decode_node, encode_node, node_hash

Read = Callable[[Sequence[NodeKey]], Mapping[NodeKey, bytes]]
"""The bytes of nodes by their keys; what it does not know it leaves out."""

T = TypeVar("T")
_Change = tuple[bytes, bytes | None]
"""(key hash, value hash), None: the key is gone"""


@dataclass(slots=True)
class Update:
    """What one batch did. `root` is None for an empty tree. Nodes in `written` have the version of the batch, and so
    have the leaves in `leaves` (key hashes); what is stale belongs to versions before it alone.
    """

    root: Child | None = None
    written: dict[NodeKey, bytes] = field(default_factory=dict)
    leaves: list[bytes] = field(default_factory=list)
    stale_nodes: list[NodeKey] = field(default_factory=list)
    stale_leaves: list[LeafKey] = field(default_factory=list)


def update(root: Child | None, version: int, changes: Mapping[bytes, bytes | None], read: Read) -> Update:
    """Give key hashes other value hashes, or none. `version` is above all versions before it.

    `read` is called once for each level of the tree. A change that changes nothing leaves no trace.
    Raises: TreeDamaged, where a node is missing or damaged.
    """
    batch = _Batch(version, load(root, changes, read))
    batch.done.root = batch.apply(b"", root, sorted(changes.items()))
    return batch.done


def load(root: Child | None, key_hashes: Iterable[bytes], read: Read) -> dict[bytes, Children]:
    """The nodes on the way to some keys, by path. Raises: TreeDamaged."""
    nodes: dict[bytes, Children] = {}
    level: list[tuple[bytes, Child | None, Sequence[bytes]]] = [(b"", root, sorted(key_hashes))]
    while level:
        wanted = [(NodeKey(path, child.version), keys) for path, child, keys in level if is_node(child)]
        found = read([key for key, _ in wanted]) if wanted else {}
        level = []
        for key, keys in wanted:
            data = found.get(key)
            if data is None:
                raise TreeDamaged(f"The node {key.path.hex()} of version {key.version} of the state tree is missing.")
            nodes[key.path] = children = decode_node(data)
            for number, part in _by_nibble(keys, len(key.path), _itself):
                level.append((key.path + bytes((number,)), children[number], part))
    return nodes


def nibble(key_hash: bytes, depth: int) -> int:
    """Nibble `depth` of a key hash, the high one of a byte first."""
    byte = key_hash[depth >> 1]
    return byte & 15 if depth & 1 else byte >> 4


class _Batch:
    def __init__(self, version: int, nodes: dict[bytes, Children]) -> None:
        self._version = version
        self._nodes = nodes
        self.done = Update()

    def apply(self, path: bytes, child: Child | None, changes: Sequence[_Change]) -> Child | None:
        """What stands in place of `child` after changes of keys below `path`."""
        if child is None or child.key_hash is not None:
            return self._grow(path, child, changes)
        before = self._nodes[path]
        children = list(before)
        for number, part in _by_nibble(changes, len(path), _key):
            children[number] = self.apply(path + bytes((number,)), children[number], part)
        if children == before:
            return child
        self.done.stale_nodes.append(NodeKey(path, child.version))
        return self._node(path, children)

    def _grow(self, path: bytes, lone: Child | None, changes: Sequence[_Change]) -> Child | None:
        """What becomes of nothing or of a lone leaf."""
        leaves = {
            key_hash: Child(self._version, leaf_hash(key_hash, value_hash), key_hash)
            for key_hash, value_hash in changes
            if value_hash is not None
        }
        if lone is not None and lone.key_hash is not None:
            is_untouched = all(key_hash != lone.key_hash for key_hash, _ in changes)
            changed = leaves.get(lone.key_hash)
            if is_untouched or (changed is not None and changed.hash == lone.hash):
                leaves[lone.key_hash] = lone
            else:
                self.done.stale_leaves.append(LeafKey(lone.key_hash, lone.version))
        self.done.leaves += [key_hash for key_hash, leaf in leaves.items() if leaf is not lone]
        return self._build(path, sorted(leaves.items()))

    def _build(self, path: bytes, leaves: Sequence[tuple[bytes, Child]]) -> Child | None:
        """The subtree of leaves below `path`, sorted, in new nodes."""
        if len(leaves) < 2:
            return leaves[0][1] if leaves else None
        children: Children = [None] * 16
        for number, part in _by_nibble(leaves, len(path), _key):
            children[number] = self._build(path + bytes((number,)), part)
        return self._node(path, children)

    def _node(self, path: bytes, children: Children) -> Child | None:
        """A new node; or, of a single leaf or nothing, no node: a lone leaf rises."""
        present = [child for child in children if child is not None]
        if not present:
            return None
        if len(present) == 1 and present[0].key_hash is not None:
            return present[0]
        self.done.written[NodeKey(path, self._version)] = encode_node(children)
        return Child(self._version, node_hash(children), None)


def is_node(child: Child | None) -> TypeGuard[Child]:
    """Whether there are two leaves or more below."""
    return child is not None and child.key_hash is None


def _itself(item: bytes) -> bytes:
    return item


def _key(item: tuple[bytes, Any]) -> bytes:
    return item[0]


def _by_nibble(items: Sequence[T], depth: int, key_of: Callable[[T], bytes]) -> Iterator[tuple[int, Sequence[T]]]:
    """Runs of items with the same nibble; they are sorted by key hash and share the nibbles before."""
    start = 0
    while start < len(items):
        number, end = nibble(key_of(items[start]), depth), start + 1
        while end < len(items) and nibble(key_of(items[end]), depth) == number:
            end += 1
        yield number, items[start:end]
        start = end
