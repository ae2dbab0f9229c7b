"""Changing many leaves at once: every node on the way is read once, checked once and written once.

What `update_in_parts` holds at a time is a part of the changes and of the tree, whatever the number of changes: as many
neighbouring subtrees as have few enough of them together are changed, handed over and forgotten before the next.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeGuard

from tree.hashing import DIGEST_SIZE, leaf_hash
from tree.nodes import (
    LEAF_SIZE,
    NIBBLES,
    Child,
    Children,
    Hashes,
    LeafKey,
    NodeKey,
    TreeDamaged,
    checked_hashes,
    decode_child,
    encode_child,
    hashes_of,
    join_node,
    rehash,
    split_node,
    version_of,
)

Read = Callable[[Sequence[NodeKey]], Mapping[NodeKey, bytes]]
"""The bytes of nodes by their keys; what it does not know it leaves out."""

ValueHashes = Callable[[Sequence[bytes]], Mapping[bytes, bytes | None]]
"""The value hashes by these key hashes, None of what is to go; it may know more."""

Known = Callable[[NodeKey], bytes | None]
"""The bytes of a node that the caller itself has written or checked before, which need no check; None: to be read."""

PART_MAX: Final = 32_768
_NIBBLES: Final = tuple(bytes((number,)) for number in range(16))
_FEW: Final = 64
_Lone = tuple[bytes, bytes]
"""(key hash, the bytes of a lone leaf)"""
_Run = tuple[int, int, int]
"""(nibble, start, end) of keys that have it in common"""


@dataclass(frozen=True, slots=True)
class _Place:
    """What stands at a path, in bytes, and which keys lie below it."""

    path: bytes
    child: bytes | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A node on the way: its children in bytes, the keys below each, and whether it needs no check."""

    children: list[bytes | None]
    runs: list[_Run]
    is_known: bool

    def checked(self, path: bytes, child: bytes | None) -> Hashes | None:
        """All hashes in the node that its parent knows as `child`; None where it needs no check.

        Raises: TreeDamaged.
        """
        return None if self.is_known or child is None else checked_hashes(path, self.children, child[8:40])


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
    batch = _Batch(version, keys, value_hashes, _Nodes(read, known), write, part_max)
    top = batch.change(_Place(b"", None if root is None else encode_child(root), 0, len(keys)))
    batch.hand_over()
    return None if top is None else decode_child(top)


def load(root: Child | None, key_hashes: Iterable[bytes], read: Read) -> dict[bytes, Children]:
    """The nodes on the way to some keys, by path. Raises: TreeDamaged."""
    keys = sorted(key_hashes)
    top = [_Place(b"", encode_child(root), 0, len(keys))] if is_node(root) else []
    nodes = _Nodes(read, lambda key: None).load(keys, top)
    for path, node in nodes.items():
        above = encode_child(root) if not path and root is not None else nodes[path[:-1]].children[path[-1]]
        assert above is not None
        checked_hashes(path, node.children, above[8:40])
    return {
        path: [None if child is None else decode_child(child) for child in node.children]
        for path, node in nodes.items()
    }


def nibble(key_hash: bytes, depth: int) -> int:
    """Nibble `depth` of a key hash, the high one of a byte first."""
    byte = key_hash[depth >> 1]
    return byte & 15 if depth & 1 else byte >> 4


class _Nodes:
    """Where stored nodes come from."""

    def __init__(self, read: Read, known: Known) -> None:
        self._read = read
        self._known = known

    def load(self, keys: Sequence[bytes], tops: Iterable[_Place]) -> dict[bytes, _Loaded]:
        """The nodes `tops`, and all below them on the way to their keys, by path; hashes are not checked yet.

        Raises: TreeDamaged.
        """
        nodes: dict[bytes, _Loaded] = {}
        level = list(tops)
        while level:
            below: list[_Place] = []
            for place, node in zip(level, self.one_level(keys, level), strict=True):
                nodes[place.path] = node
                for number, first, last in node.runs:
                    child = node.children[number]
                    if child is not None and len(child) != LEAF_SIZE:
                        below.append(_Place(place.path + _NIBBLES[number], child, first, last))
            level = below
        return nodes

    def one_level(self, keys: Sequence[bytes], level: Sequence[_Place]) -> Iterator[_Loaded]:
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
            runs = list(_runs(keys, place.start, place.end, len(place.path)))
            yield _Loaded(split_node(stored), runs, data is not None)


class _Batch:
    """Changes of sorted keys; a part of them is a range of places among these. Children are their bytes."""

    def __init__(
        self,
        version: int,
        keys: Sequence[bytes],
        value_hashes: ValueHashes,
        stored: _Nodes,
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
        self._nodes: dict[bytes, _Loaded] = {}  # of the part
        self.done = Update()

    def change(self, place: _Place) -> bytes | None:
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

    def _above(self, place: _Place) -> _Loaded:
        if place.child is not None:
            return next(self._stored.one_level(self._keys, [place]))
        return _Loaded([None] * 16, list(_runs(self._keys, place.start, place.end, len(place.path))), True)

    def _change_part(self, places: Sequence[_Place]) -> list[bytes | None]:
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
                after.append(self.apply(path + _NIBBLES[number], before, first, last))
        return self._with(path, child, node, hashes, after)

    def _with(
        self, path: bytes, child: bytes | None, node: _Loaded, hashes: Hashes | None, after: Sequence[bytes | None]
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
        for number, first, last in _runs(keys, 0, len(keys), len(path)):
            children[number] = self._build(path + _NIBBLES[number], leaves[first:last])
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


def _parts(path: bytes, node: _Loaded, part_max: int) -> Iterator[list[_Place]]:
    """The children of a node below which there are changes: neighbours together as far as `part_max` goes."""
    part: list[_Place] = []
    for number, first, last in node.runs:
        if part and last - part[0].start > part_max:
            yield part
            part = []
        part.append(_Place(path + _NIBBLES[number], node.children[number], first, last))
    yield part


def is_node(child: Child | None) -> TypeGuard[Child]:
    """Whether there are two leaves or more below."""
    return child is not None and child.key_hash is None


def _runs(keys: Sequence[bytes], start: int, end: int, depth: int) -> Iterator[tuple[int, int, int]]:
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
