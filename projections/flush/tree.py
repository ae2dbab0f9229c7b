"""The state tree in Postgres: nodes and leaves of every version that is kept, and which are stale since when."""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain

from ledger import leaves
from projections.flush.node_cache import NodeCache
from projections.session.connect import Connection
from projections.session.errors import StateDiffers
from projections.session.packing import boolean, bytes_array, copy, int8, int8_array, pack_rows
from tree.hashing import EMPTY
from tree.nodes import Child, NodeKey, TreeDamaged, decode_child, encode_child
from tree.update import Update, update_in_parts

Take = Callable[[Sequence[bytes]], Mapping[bytes, tuple[bytes, bytes | None]]]
"""Of key hashes the leaf keys and their values now, None of what is gone."""

_ROOT = "SELECT root FROM ledger.tree_root"
_SET_ROOT = """INSERT INTO ledger.tree_root VALUES (true, %s) ON CONFLICT (one) DO UPDATE SET root = excluded.root"""
_NODES = """SELECT n.path, n.version, n.node FROM unnest(%s, %s) AS w (path, version)
JOIN ledger.tree_nodes AS n ON n.path = w.path AND n.version = w.version"""
_NODES_AT_ONCE = 20_000


def root_of(connection: Connection) -> Child | None:
    """The root of the newest version; None of an empty tree. Raises: TreeDamaged."""
    row = connection.execute(_ROOT).fetchone()
    return decode_child(row[0]) if row is not None and row[0] else None


def read_nodes(connection: Connection, keys: Sequence[NodeKey]) -> dict[NodeKey, bytes]:
    """The bytes of nodes; those that are missing are left out."""
    found: dict[NodeKey, bytes] = {}
    for start in range(0, len(keys), _NODES_AT_ONCE):
        part = keys[start : start + _NODES_AT_ONCE]
        parameters = bytes_array([key.path for key in part]), int8_array([key.version for key in part])
        rows = connection.execute(_NODES, parameters, binary=True)
        found.update((NodeKey(path, version), node) for path, version, node in rows)
    return found


def change_tree(
    connection: Connection, version: int, key_hashes: Sequence[bytes], take: Take, cache: NodeCache
) -> bytes:
    """Give the leaves of these key hashes, sorted, what `take` says, or take them away; the new root. `take` is asked
    for each once, by rising key hash. Within the caller's transaction, with which `cache` must be cleared where it is
    undone. Holds a part of the leaves and of the tree at a time. Raises: StateDiffers.
    """
    with _uncollected():
        part = _Part(connection, version, take, cache)
        try:
            root = update_in_parts(
                root_of(connection),
                version,
                key_hashes,
                part.value_hashes,
                lambda wanted: read_nodes(connection, wanted),
                part.write,
                known=cache.get,
            )
        except TreeDamaged as error:
            raise StateDiffers(f"{error} `momus replay` builds a good database.") from error
        set_root(connection, root)
        return EMPTY if root is None else root.hash


def write_nodes(connection: Connection, nodes: Mapping[NodeKey, bytes]) -> None:
    """New nodes."""
    copy(connection, "ledger.tree_nodes", pack_rows((key.path, int8(key.version), node) for key, node in nodes.items()))


def set_root(connection: Connection, root: Child | None) -> None:
    """From now on `root_of` is this; None: of an empty tree."""
    connection.execute(_SET_ROOT, [b"" if root is None else encode_child(root)])


class _Part:
    """The leaves of the part of a batch that is being changed, by their key hashes."""

    def __init__(self, connection: Connection, version: int, take: Take, cache: NodeCache) -> None:
        self._connection = connection
        self._stamp = int8(version)
        self._take = take
        self._cache = cache
        self._leaves: Mapping[bytes, tuple[bytes, bytes | None]] = {}

    def value_hashes(self, key_hashes: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """Of the next part."""
        self._leaves = self._take(key_hashes)
        return {
            key_hash: None if value is None else leaves.value_hash(value)
            for key_hash, (_, value) in self._leaves.items()
        }

    def write(self, done: Update) -> None:
        """What became of it."""
        stamp, changed = self._stamp, self._leaves
        write_nodes(self._connection, done.written)
        self._cache.drop(done.stale_nodes)
        self._cache.keep(done.written)
        written = ((key_hash, stamp, *changed[key_hash]) for key_hash in done.leaves)
        copy(self._connection, "ledger.tree_leaves", pack_rows(written))
        copy(self._connection, "ledger.tree_stale", pack_rows(_stale(stamp, done)))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cyclic garbage collector: a batch makes a hundred thousand nodes and no cycle, yet the collector
    would walk them and all else in the process again and again, for an eighth to a quarter of the computing time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _stale(since: bytes, done: Update) -> Iterable[tuple[bytes, ...]]:
    nodes = ((since, boolean(False), key.path, int8(key.version)) for key in done.stale_nodes)
    gone = ((since, boolean(True), key.key_hash, int8(key.version)) for key in done.stale_leaves)
    return chain(nodes, gone)
