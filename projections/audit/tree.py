"""The state tree in Postgres, re-hashed from its root down in one pass over its nodes, with bounded memory.

Nodes are read in the order of their paths, which is the order of a walk from left to right, parents first. So the
nodes that are open at any time are one path from the root, and the leaves come out in the order of their key hashes.
A node is believed only if its parent, which was believed, has its hash.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from projections.audit.findings import Findings
from projections.session.connect import Connection
from tree.nodes import Child, Children, TreeDamaged, decode_child, decode_node, node_hash

NODES: Final = "tree_nodes"
_ROWS_AT_ONCE: Final = 5_000
_ROOT: Final = "SELECT root FROM ledger.tree_root"
_NODES: Final = """SELECT n.path, n.version, n.node, EXISTS (SELECT FROM ledger.tree_stale AS s
    WHERE NOT s.is_leaf AND s.key = n.path AND s.version = n.version)
FROM ledger.tree_nodes AS n ORDER BY n.path, n.version"""
_AT_THE_TOP: Final = "SELECT version, node FROM ledger.tree_nodes WHERE path = '' ORDER BY version DESC"
_STALE: Final = """SELECT s.is_leaf, s.key, s.version, s.since,
    s.since > s.version AND s.since <= %(height)s AND (s.since < (SELECT min(height) FROM ledger.checkpoints)
        OR EXISTS (SELECT FROM ledger.checkpoints AS c WHERE c.height = s.since)),
    CASE WHEN s.is_leaf
        THEN EXISTS (SELECT FROM ledger.tree_leaves AS l WHERE l.key_hash = s.key AND l.version = s.version)
        ELSE EXISTS (SELECT FROM ledger.tree_nodes AS n WHERE n.path = s.key AND n.version = s.version) END
FROM ledger.tree_stale AS s"""


@dataclass(frozen=True, slots=True)
class LiveLeaf:
    """A leaf that is under the root: where its value is kept, and the hash of both."""

    key_hash: bytes
    version: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Unknown:
    """Leaves whose key hashes begin with these nibbles (a byte each) cannot be known: a node on the way is bad."""

    path: bytes


Item = LiveLeaf | Unknown


@dataclass(slots=True)
class _Open:
    """A believed node, as far as it has been walked: children below `next` are done."""

    path: bytes
    children: Children
    next: int = 0


def audited_root(connection: Connection, state_root: bytes, findings: Findings) -> Child | None:
    """The root that the newest checkpoint names, where its node is; None: the tree is empty, or cannot be read."""
    row = connection.execute(_ROOT).fetchone()
    try:
        root = decode_child(bytes(row[0])) if row is not None and row[0] else None
    except TreeDamaged as error:
        findings.add("tree_root", "one", str(error))
        root = None
    if (root.hash if root is not None else bytes(32)) == state_root:
        return root
    found = "none" if root is None else root.hash.hex()
    findings.add("tree_root", "one", f"The root kept is {found}, that of the newest checkpoint {state_root.hex()}.")
    return _root_by_hash(connection, state_root) or root


def _root_by_hash(connection: Connection, state_root: bytes) -> Child | None:
    for version, node in connection.execute(_AT_THE_TOP, binary=True):
        children = _decoded(node)
        if children is not None and node_hash(children) == state_root:
            return Child(version, state_root, None)
    return None


def walk(connection: Connection, root: Child | None, findings: Findings) -> Iterator[Item]:
    """The leaves under `root`, by rising key hash; every node of the tree on the way is checked."""
    with connection.cursor(name="audit_nodes") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        yield from walk_nodes(root, cursor.execute(_NODES, binary=True), findings)


def walk_nodes(
    root: Child | None, rows: Iterable[tuple[bytes, int, bytes, bool]], findings: Findings
) -> Iterator[Item]:
    """As `walk`, of rows (path, version, node, whether it is marked as stale), by rising path and version."""
    walking = _Walk(root, findings)
    for path, version, node, is_stale in rows:
        yield from walking.on_node(bytes(path), version, bytes(node), is_stale)
    yield from walking.end()


class _Walk:
    """The walk, a row at a time."""

    def __init__(self, root: Child | None, findings: Findings) -> None:
        self._root = root
        self._findings = findings
        self._open: list[_Open] = []
        self._bad: bytes | None = None
        self._is_begun = False

    def on_node(self, path: bytes, version: int, node: bytes, is_stale: bool) -> Iterator[Item]:
        """Take a row; yields what lies to the left of it."""
        expected = self._root
        if path:
            yield from self._close_until(path[:-1])
            yield from self._pass_over(path)
            expected = None
            if self._open and self._open[-1].path == path[:-1] and path[-1] < 16:
                yield from self._advance(self._open[-1], path[-1])
                expected = self._open[-1].children[path[-1]]
        if expected is None or expected.key_hash is not None or expected.version != version:
            self._not_referred_to(path, version, is_stale)
            return
        yield from self._live(path, version, node, is_stale, expected)

    def end(self) -> Iterator[Item]:
        """What is right of the last row."""
        if self._root is not None and self._root.key_hash is not None:
            yield LiveLeaf(self._root.key_hash, self._root.version, self._root.hash)
        elif self._root is not None and not self._is_begun:
            self._missing(b"", self._root.version)
            yield Unknown(b"")
        while self._open:
            yield from self._advance(self._open[-1], 16)
            self._open.pop()

    def _live(self, path: bytes, version: int, node: bytes, is_stale: bool, expected: Child) -> Iterator[Item]:
        if path:
            self._open[-1].next = path[-1] + 1
        else:
            self._is_begun = True
        if is_stale:
            self._findings.add("tree_stale", _key(path, version), "A node that is in use is marked as superseded.")
        children = _decoded(node)
        if children is None or node_hash(children) != expected.hash:
            found = "does not read" if children is None else f"hashes to {node_hash(children).hex()}"
            self._findings.add(NODES, _key(path, version), f"The node {found}; its parent has {expected.hash.hex()}.")
            self._bad = path
            yield Unknown(path)
            return
        self._open.append(_Open(path, children))

    def _not_referred_to(self, path: bytes, version: int, is_stale: bool) -> None:
        is_below_bad = self._bad is not None and path.startswith(self._bad)
        if not is_stale and not is_below_bad:
            self._findings.add(NODES, _key(path, version), "Nothing refers to the node, and it is not superseded.")

    def _close_until(self, path: bytes) -> Iterator[Item]:
        """Leave every open node that does not lie above or at `path`."""
        while self._open and not path.startswith(self._open[-1].path):
            yield from self._advance(self._open[-1], 16)
            self._open.pop()

    def _pass_over(self, path: bytes) -> Iterator[Item]:
        """A row deeper than a child of the last open node: that child, which would have come first, is missing."""
        if self._open and (depth := len(self._open[-1].path)) < len(path) - 1:
            yield from self._advance(self._open[-1], min(path[depth] + 1, 16))

    def _advance(self, node: _Open, until: int) -> Iterator[Item]:
        """The lone leaves of `node` before a nibble; nodes that it names there have not come, so they are missing."""
        for nibble in range(node.next, until):
            child = node.children[nibble]
            if child is not None and child.key_hash is not None:
                yield LiveLeaf(child.key_hash, child.version, child.hash)
            elif child is not None:
                path = node.path + bytes((nibble,))
                self._missing(path, child.version)
                yield Unknown(path)
        node.next = max(node.next, until)

    def _missing(self, path: bytes, version: int) -> None:
        self._bad = path
        self._findings.add(NODES, _key(path, version), "The node is missing.")


def check_stale(connection: Connection, height: int, findings: Findings) -> None:
    """Entries of the index of superseded pieces that cannot be: of nothing, or since no checkpoint up to `height`."""
    with connection.cursor(name="audit_stale") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        for is_leaf, key, version, since, is_since_good, is_there in cursor.execute(_STALE, {"height": height}):
            name = f"{key.hex()} version {version} since {since}"
            what = "leaf" if is_leaf else "node"
            if not is_there:
                findings.add("tree_stale", name, f"The entry is of a {what} that does not exist.")
            elif not is_since_good:
                findings.add("tree_stale", name, f"The {what} cannot have been superseded at that height.")


def _decoded(node: bytes) -> Children | None:
    try:
        children = decode_node(node)
    except TreeDamaged:
        return None
    return children if any(children) else None


def _key(path: bytes, version: int) -> str:
    return f"path {''.join(f'{nibble:x}' for nibble in path) or '(root)'} version {version}"
