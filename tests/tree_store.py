"""A state tree in memory, with a naive one beside it."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from tree.hashing import EMPTY, hash_of
from tree.loading import is_node
from tree.nodes import Child, LeafKey, NodeKey, decode_node
from tree.update import Update, update

Changes = Mapping[bytes, bytes | None]
Stored = tuple[bool, bytes, int]
"""(whether it is a leaf, path or key hash, version)"""


class TreeStore:
    """Nodes and leaves as a database keeps them, of all versions; `leaves` is what the newest version must hold."""

    def __init__(self) -> None:
        self.nodes: dict[NodeKey, bytes] = {}
        self.values: dict[LeafKey, bytes] = {}
        self.stale: list[tuple[int, Stored]] = []
        self.roots: dict[int, Child | None] = {0: None}
        self.leaves: dict[bytes, bytes] = {}
        self.reads = 0

    @property
    def version(self) -> int:
        return max(self.roots)

    @property
    def root(self) -> Child | None:
        return self.roots[self.version]

    def read(self, keys: Sequence[NodeKey]) -> dict[NodeKey, bytes]:
        self.reads += 1
        return {key: self.nodes[key] for key in keys if key in self.nodes}

    def value_hash(self, leaf: LeafKey) -> bytes:
        return self.values[leaf]

    def change(self, changes: Changes) -> Update:
        version = self.version + 1
        done = update(self.root, version, changes, self.read)
        self.roots[version] = done.root
        self.nodes.update(done.written)
        for key_hash in done.leaves:
            value_hash = changes[key_hash]
            assert value_hash is not None
            self.values[LeafKey(key_hash, version)] = value_hash
        self.stale += [(version, (False, *key)) for key in done.stale_nodes]
        self.stale += [(version, (True, *key)) for key in done.stale_leaves]
        for key_hash, value in changes.items():
            if value is None:
                self.leaves.pop(key_hash, None)
            else:
                self.leaves[key_hash] = value
        return done

    def root_hash(self) -> bytes:
        return EMPTY if self.root is None else self.root.hash

    def naive(self) -> bytes:
        return hash_of(sorted(self.leaves.items()))

    def stored(self) -> set[Stored]:
        """All that is kept."""
        return {(False, *key) for key in self.nodes} | {(True, *key) for key in self.values}

    def reachable(self, version: int) -> set[Stored]:
        """Every node and leaf of one version."""
        found: set[Stored] = set()
        todo = [(b"", self.roots[version])]
        while todo:
            path, child = todo.pop()
            if is_node(child):
                found.add((False, path, child.version))
                below = decode_node(self.nodes[NodeKey(path, child.version)])
                todo += [(path + bytes((number,)), one) for number, one in enumerate(below)]
            elif child is not None and child.key_hash is not None:
                found.add((True, child.key_hash, child.version))
        return found

    def prune(self, since: int) -> None:
        """Drop what no version from `since` on needs."""
        for version, (is_leaf, key, written) in self.stale:
            if version <= since and is_leaf:
                del self.values[LeafKey(key, written)]
            elif version <= since:
                del self.nodes[NodeKey(key, written)]
        self.stale = [(version, key) for version, key in self.stale if version > since]


def name(number: int) -> bytes:
    """A key hash or value hash."""
    return sha256(number.to_bytes(8)).digest()


def leaves_of(numbers: Iterable[int]) -> dict[bytes, bytes | None]:
    """A leaf each."""
    return {name(number): name(number + (1 << 40)) for number in numbers}
