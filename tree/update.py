"""Changing many leaves at once: every node on the way is read once, checked once and written once.

What `update_in_parts` holds at a time is a part of the changes and of the tree, whatever the number of changes: as many
neighbouring subtrees as have few enough of them together are changed, handed over and forgotten before the next.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tree.hashing import DIGEST_SIZE, leaf_hash
from tree.loading import NIBBLE_BYTES, Known, Loaded, Read, StoredNodes, Subtree, runs_of
from tree.nodes import (
    LEAF_SIZE,
    Child,
    Hashes,
    LeafKey,
    NodeKey,
    decode_child,
    encode_child,
    hashes_of,
    join_node,
    rehash,
    version_of,
)

ValueHashes = Callable[[Sequence[bytes]], Mapping[bytes, bytes | None]]
"""The value hashes by these key hashes, None of what is to go; it may know more."""

PART_MAX: Final = 32_768
_Lone = tuple[bytes, bytes]
"""(key hash, the bytes of a lone leaf)"""


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
    done = Update()

    def write(part: Update) -> None:
        done.written.update(part.written)
        done.leaves += part.leaves
        done.stale_nodes += part.stale_nodes
        done.stale_leaves += part.stale_leaves

    done.root = update_in_parts(root, version, sorted(changes), lambda _: changes, read, write, max(1, len(changes)))
    return done


def update_in_parts(
    root: Child | None,
    version: int,
    keys: Sequence[bytes],
    value_hashes: ValueHashes,
    read: Read,
    write: Callable[[Update], None],
    part_max: int = PART_MAX,
    known: Known = lambda key: None,
) -> Child | None:
    """As `update`, of sorted key hashes; the new root. Value hashes are asked for once each, at most `part_max` at a
    time, and what was done with them goes to `write` before the next are; `read` is called for each level of a part,
    for what is not `known`.

    Raises: TreeDamaged. Then some of it has been written, which must be undone.
    """
    batch = _Batch(version, keys, value_hashes, StoredNodes(read, known), write, part_max)
    top = batch.change(Subtree(b"", None if root is None else encode_child(root), 0, len(keys)))
    batch.hand_over()
    return None if top is None else decode_child(top)


class _Batch:
    """Changes of sorted keys; a part of them is a range of places among these. Children are their bytes."""

    def __init__(
        self,
        version: int,
        keys: Sequence[bytes],
        value_hashes: ValueHashes,
        stored: StoredNodes,
        write: Callable[[Update], None],
        part_max: int,
    ) -> None:
        self._version = version
        self._stamp = version.to_bytes(8)
        self._keys = keys
        self._value_hashes = value_hashes
        self._stored = stored
        self._write = write
        self._part_max = part_max
        self._changes: Mapping[bytes, bytes | None] = {}  # of the part
        self._nodes: dict[bytes, Loaded] = {}  # of the part
        self.done = Update()

    def change(self, place: Subtree) -> bytes | None:
        """What stands there after its changes, made part by part: where there are too many for one, by children."""
        if place.end - place.start <= self._part_max or _is_lone(place.child):
            return self._change_part([place])[0]
        node = self._above(place)
        hashes = node.checked(place.path, place.child)
        after: list[bytes | None] = []
        for part in _parts(place.path, node, self._part_max):
            is_large = part[0].end - part[0].start > self._part_max
            after += [self.change(part[0])] if is_large else self._change_part(part)
        return self._with(place.path, place.child, node, hashes, after)

    def hand_over(self) -> None:
        """Give away what was done since the last time."""
        self._changes, self._nodes = {}, {}
        done, self.done = self.done, Update()
        self._write(done)

    def _above(self, place: Subtree) -> Loaded:
        if place.child is not None:
            return next(self._stored.one_level(self._keys, [place]))
        return Loaded([None] * 16, list(runs_of(self._keys, place.start, place.end, len(place.path))), True)

    def _change_part(self, places: Sequence[Subtree]) -> list[bytes | None]:
        self._changes = self._value_hashes(self._keys[places[0].start : places[-1].end])
        tops = [place for place in places if place.child is not None and not _is_lone(place.child)]
        self._nodes = self._stored.load(self._keys, tops)
        after = [self.apply(place.path, place.child, place.start, place.end) for place in places]
        self.hand_over()
        return after

    def apply(self, path: bytes, child: bytes | None, start: int, end: int) -> bytes | None:
        """What stands in place of `child` after the changes `start` to `end`, of keys below `path`."""
        if child is None or len(child) == LEAF_SIZE:
            return self._grow(path, child, start, end)
        node = self._nodes[path]
        hashes = node.checked(path, child)
        after: list[bytes | None] = []
        for number, first, last in node.runs:
            before = node.children[number]
            if before is not None and last - first == 1 and before[40:] == self._keys[first]:
                after.append(self._change(before, self._keys[first]))
            else:
                after.append(self.apply(path + NIBBLE_BYTES[number], before, first, last))
        return self._with(path, child, node, hashes, after)

    def _with(
        self, path: bytes, child: bytes | None, node: Loaded, hashes: Hashes | None, after: Sequence[bytes | None]
    ) -> bytes | None:
        """What stands in place of a node (None: of nothing) with these instead of the children of its runs."""
        children = node.children
        changed: list[int] = []
        for (number, _, _), now in zip(node.runs, after, strict=True):
            if now is not children[number]:
                children[number] = now
                changed.append(number)
        if not changed:
            return child
        if child is not None:
            self.done.stale_nodes.append(NodeKey(path, version_of(child)))
        return self._node(
            path, children, hashes_of(children)[1] if hashes is None else rehash(hashes, children, changed)
        )

    def _grow(self, path: bytes, lone: bytes | None, start: int, end: int) -> bytes | None:
        """What becomes of nothing or of a lone leaf."""
        if lone is not None and end - start == 1 and lone[40:] == self._keys[start]:
            return self._change(lone, self._keys[start])
        leaves: dict[bytes, bytes] = {}
        for key_hash in self._keys[start:end]:
            leaf = self._leaf(key_hash)
            if leaf is not None:
                leaves[key_hash] = leaf
        if lone is not None:
            old = decode_child(lone)
            assert old.key_hash is not None
            changed = leaves.get(old.key_hash)
            is_same = changed is not None and changed[8:40] == old.hash
            if is_same or (changed is None and not self._is_among(old.key_hash, start, end)):
                leaves[old.key_hash] = lone
            else:
                self.done.stale_leaves.append(LeafKey(old.key_hash, old.version))
        self.done.leaves += [key_hash for key_hash, leaf in leaves.items() if leaf is not lone]
        return self._build(path, sorted(leaves.items()))

    def _change(self, lone: bytes, key_hash: bytes) -> bytes | None:
        """What most changes are: another value where a lone leaf stands, or none."""
        leaf = self._leaf(key_hash)
        if leaf is not None and leaf[8:40] == lone[8:40]:
            return lone
        self.done.stale_leaves.append(LeafKey(key_hash, version_of(lone)))
        if leaf is not None:
            self.done.leaves.append(key_hash)
        return leaf

    def _leaf(self, key_hash: bytes) -> bytes | None:
        value_hash = self._changes[key_hash]
        return None if value_hash is None else self._stamp + leaf_hash(key_hash, value_hash) + key_hash

    def _is_among(self, key_hash: bytes, start: int, end: int) -> bool:
        place = bisect_left(self._keys, key_hash, start, end)
        return place < end and self._keys[place] == key_hash

    def _build(self, path: bytes, leaves: Sequence[_Lone]) -> bytes | None:
        """The subtree of leaves below `path`, sorted, in new nodes."""
        if len(leaves) < 2:
            return leaves[0][1] if leaves else None
        children: list[bytes | None] = [None] * 16
        keys = [key_hash for key_hash, _ in leaves]
        for number, first, last in runs_of(keys, 0, len(keys), len(path)):
            children[number] = self._build(path + NIBBLE_BYTES[number], leaves[first:last])
        return self._node(path, children, hashes_of(children)[1])

    def _node(self, path: bytes, children: Sequence[bytes | None], found: bytes | None) -> bytes | None:
        """A new node of the hash `found`; or, of a single leaf or nothing, no node: a lone leaf rises."""
        if found is None:
            return None
        if len(found) > DIGEST_SIZE:
            return next(child for child in children if child is not None)
        self.done.written[NodeKey(path, self._version)] = join_node(children)
        return self._stamp + found


def _is_lone(child: bytes | None) -> bool:
    return child is not None and len(child) == LEAF_SIZE


def _parts(path: bytes, node: Loaded, part_max: int) -> Iterator[list[Subtree]]:
    """The children of a node below which there are changes: neighbours together as far as `part_max` goes."""
    part: list[Subtree] = []
    for number, first, last in node.runs:
        if part and last - part[0].start > part_max:
            yield part
            part = []
        part.append(Subtree(path + NIBBLE_BYTES[number], node.children[number], first, last))
    yield part
