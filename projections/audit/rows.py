"""Every row of the state against the state root: three streams by rising key hash, walked side by side.

What is under the root (`audit_tree`), where the tree keeps values (`tree_leaves`), and the rows themselves. Postgres
sorts, on disk where need be; here one row of each is held, and the hashes of the keys that changed since the newest
checkpoint, of which there are no more than a checkpoint interval's.
"""

import struct
from collections.abc import Callable, Iterator
from heapq import merge
from typing import Any, Final

from ledger import digests, leaves
from ledger.genesis import Genesis
from ledger.leaf_reading import read_leaf
from ledger.rejection import Rejection
from ledger.state import Asset
from projections.audit.findings import Findings
from projections.audit.tree import Item, LiveLeaf
from projections.rows.object_rows import WHOLE_OBJECTS, whole_object
from projections.session.connect import Connection
from tree.hashing import leaf_hash

TABLE_OF: Final = {1: "objects", 2: "balances", 3: "assets", 4: "expiry_buckets", 5: "genesis", 6: "genesis"}
ROWS_AT_ONCE: Final = 5_000
_VALUE_SHOWN_MAX: Final = 400
_HASH: Final = r"sha256('momus/key/v1'::bytea || '\x0{}'::bytea || {})"
_Row = tuple[Any, ...]
LiveRow = tuple[bytes, bytes, bytes | None]
"""(key hash, leaf key, leaf value; None: the row is no possible state)"""

_LIVE: Final[tuple[tuple[str, Callable[[_Row], bytes], Callable[[_Row], bytes]], ...]] = (
    (
        f"SELECT {_HASH.format(1, 'o.id')}, {WHOLE_OBJECTS} ORDER BY 1",
        lambda row: leaves.object_key(row[0]),
        lambda row: leaves.object_value(whole_object(row)),
    ),
    (
        f"SELECT {_HASH.format(2, 'asset || address')}, asset, address, amount FROM ledger.balances ORDER BY 1",
        lambda row: leaves.balance_key(row[0], row[1]),
        lambda row: leaves.balance_value(row[2]),
    ),
    (
        f"SELECT {_HASH.format(3, 'id')}, id, name, decimals, issuer, supply FROM ledger.assets ORDER BY 1",
        lambda row: leaves.asset_key(row[0]),
        lambda row: leaves.asset_value(Asset(*row)),
    ),
    (
        f"SELECT {_HASH.format(4, 'int8send(bucket)')}, bucket, count, hash FROM ledger.expiry_buckets ORDER BY 1",
        lambda row: leaves.bucket_key(row[0]),
        lambda row: leaves.bucket_value(row[1], row[2]),
    ),
)
_LEAVES: Final = """SELECT l.key_hash, l.version, l.key, l.value, EXISTS (SELECT FROM ledger.tree_stale AS s
    WHERE s.is_leaf AND s.key = l.key_hash AND s.version = l.version)
FROM ledger.tree_leaves AS l ORDER BY l.key_hash, l.version"""
_BUCKETS: Final = "SELECT bucket, count, hash FROM ledger.expiry_buckets"
_REMEMBERED: Final = "SELECT bucket, digest, height FROM ledger.remembered ORDER BY bucket, rank"


def begin(connection: Connection) -> frozenset[bytes]:
    """In the transaction that the caller has begun, as its first statements: take its view of the database, and the
    hashes of the keys that changed since the newest checkpoint.

    Their tables are truncated by the executor at each checkpoint, where nobody has locked them: so they are locked
    before the view is taken, and let go at once, by the savepoint: what is truncated costs the executor nothing.
    """
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.execute("SAVEPOINT changed")
    connection.execute("LOCK TABLE ledger.changed_balances, ledger.changed_keys IN ACCESS SHARE MODE")
    query = (
        f"SELECT {_HASH.format(2, 'asset || address')} FROM ledger.changed_balances "
        r"UNION SELECT sha256('momus/key/v1'::bytea || key) FROM ledger.changed_keys"
    )
    found = frozenset(row[0] for row in connection.execute(query, binary=True))
    connection.execute("ROLLBACK TO SAVEPOINT changed")
    return found


def live_rows(connection: Connection, genesis: Genesis, with_genesis: bool) -> Iterator[LiveRow]:
    """Every row of the state as a leaf, by rising key hash; `with_genesis`: also what genesis puts under the root."""
    fixed = sorted((leaves.key_hash(key), key, value) for key, value in leaves.genesis_leaves(genesis))
    tables = (_rows_of(connection, number, *it) for number, it in enumerate(_LIVE))
    return merge(fixed if with_genesis else (), *tables, key=lambda row: row[0])


def _rows_of(
    connection: Connection, number: int, query: str, key_of: Callable[[_Row], bytes], value_of: Callable[[_Row], bytes]
) -> Iterator[LiveRow]:
    with connection.cursor(name=f"audit_rows_{number}") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        for key_hash, *row in cursor.execute(query, binary=True):
            try:
                key, value = key_of(tuple(row)), value_of(tuple(row))
            except (ValueError, OverflowError, struct.error):  # ranges that execution never leaves
                yield key_hash, bytes((number + 1,)) + _raw_key(row[0]), None
            else:
                yield key_hash, key, value


def _raw_key(value: object) -> bytes:
    return value if isinstance(value, bytes) else int(str(value)).to_bytes(8, signed=True)


class _Ahead:
    """A stream of rows by rising first column, of which the next one is known."""

    def __init__(self, rows: Iterator[_Row]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def below(self, key_hash: bytes | None) -> Iterator[_Row]:
        """Those before `key_hash`; None: all."""
        while (row := self._next) is not None and (key_hash is None or row[0] < key_hash):
            self._next = next(self._rows, None)
            yield row

    def at(self, key_hash: bytes) -> Iterator[_Row]:
        """Those of `key_hash`, the next ones."""
        while (row := self._next) is not None and row[0] == key_hash:
            self._next = next(self._rows, None)
            yield row


class RowAudit:
    """Walks three streams side by side. Counts rows: all; those that changed since the checkpoint, so that they are not
    under its root yet; and those that cannot be compared, since nodes above them are bad (`unknown`)."""

    def __init__(self, changed: frozenset[bytes], findings: Findings, on_row: Callable[[int], None]) -> None:
        self._changed = changed
        self._findings = findings
        self._on_row = on_row
        self.rows = 0
        self.changed = 0
        self.unknown = 0

    def run(self, tree: Iterator[Item], kept: Iterator[_Row], live: Iterator[LiveRow]) -> None:
        """`tree` and `live` by key hash, `kept` (key hash, version, key, value, is stale) also by version."""
        kept_ahead, live_ahead = _Ahead(kept), _Ahead(live)
        for item in tree:
            first = item.key_hash if isinstance(item, LiveLeaf) else _first_of(item.path)
            self._nothing_until(first, kept_ahead, live_ahead)
            if isinstance(item, LiveLeaf):
                self._on_leaf(item, kept_ahead, live_ahead)
            else:
                self._unknown_until(_beyond(item.path), kept_ahead, live_ahead)
        self._nothing_until(None, kept_ahead, live_ahead)

    def _nothing_until(self, key_hash: bytes | None, kept: "_Ahead", live: "_Ahead") -> None:
        """There is nothing under the root below `key_hash` (None: at all) that was not walked yet."""
        for leaf in kept.below(key_hash):
            self._superseded(leaf)
        for row in live.below(key_hash):
            self._row(row, None)

    def _unknown_until(self, key_hash: bytes | None, kept: "_Ahead", live: "_Ahead") -> None:
        for _ in kept.below(key_hash):
            pass
        for row in live.below(key_hash):
            self._count(row[0])
            self.unknown += 1

    def _on_leaf(self, item: LiveLeaf, kept: "_Ahead", live: "_Ahead") -> None:
        value: tuple[bytes, bytes] | None = None
        is_there = False
        for leaf in kept.at(item.key_hash):
            if leaf[1] == item.version:
                is_there, value = True, self._value(item, leaf)
            else:
                self._superseded(leaf)
        if not is_there:
            self._findings.add("tree_leaves", _leaf_name(item.key_hash, item.version), "The leaf is missing.")
        rows = list(live.at(item.key_hash))
        for row in rows:
            self._against_hash(row, item, value)
        if not rows:
            self._gone(item, value)

    def _superseded(self, kept: _Row) -> None:
        key_hash, version, key, _, is_stale = kept
        if not is_stale:
            name = _leaf_name(key_hash, version) + f" ({row_name(key)})"
            self._findings.add("tree_leaves", name, "Nothing refers to the leaf, and it is not superseded.")

    def _value(self, item: LiveLeaf, kept: _Row) -> tuple[bytes, bytes] | None:
        """(key, value) as the tree keeps them, where they hash to what is under the root."""
        key_hash, version, key, value, is_stale = kept
        name = _leaf_name(key_hash, version) + f" ({row_name(key)})"
        if is_stale:
            self._findings.add("tree_stale", name, "A leaf that is in use is marked as superseded.")
        if leaves.key_hash(key) == key_hash and leaf_hash(key_hash, leaves.value_hash(value)) == item.hash:
            return key, value
        self._findings.add("tree_leaves", name, f"The leaf is not the one under the root; it says {shown(key, value)}.")
        return None

    def _against_hash(self, row: _Row, item: LiveLeaf, value: tuple[bytes, bytes] | None) -> None:
        key_hash, _key, now = row
        is_equal = now is not None and leaf_hash(key_hash, leaves.value_hash(now)) == item.hash
        if is_equal:
            self._count(key_hash)
        else:
            self._row(row, value[1] if value is not None else b"")

    def _row(self, row: _Row, before: bytes | None) -> None:
        """A row that is not what is under the root: accounted for, or a finding. `before` None: nothing is there."""
        key_hash, key, now = row
        self._count(key_hash)
        if now is not None and key_hash in self._changed:
            return
        says = "what no row can be" if now is None else shown(key, now)
        if before is None:
            what = f"The row was added: it says {says}; nothing is under the root."
        else:
            under = shown(key, before) if before else "another value, which the tree has lost"
            what = f"The row was changed: it says {says}; under the root is {under}."
        self._findings.add(_table(key), row_name(key), what)

    def _gone(self, item: LiveLeaf, value: tuple[bytes, bytes] | None) -> None:
        if item.key_hash in self._changed:
            self.changed += 1
            return
        if value is None:
            self._findings.add("state", f"key hash {item.key_hash.hex()}", "A row is missing; its key is lost, too.")
            return
        key, before = value
        self._findings.add(_table(key), row_name(key), f"The row is missing; under the root is {shown(key, before)}.")

    def _count(self, key_hash: bytes) -> None:
        self.rows += 1
        self.changed += key_hash in self._changed
        if self.rows % ROWS_AT_ONCE == 0:
            self._on_row(self.rows)


def kept_leaves(connection: Connection) -> Iterator[_Row]:
    """The leaves of all versions, as `RowAudit.run` wants them."""
    with connection.cursor(name="audit_leaves") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        yield from cursor.execute(_LEAVES, binary=True)


def check_remembered(connection: Connection, findings: Findings) -> None:
    """Remembered digests against the counts and running hashes of their buckets, which are under the root."""
    expected = {bucket: (count, running) for bucket, count, running in connection.execute(_BUCKETS, binary=True)}
    found: dict[int, tuple[int, bytes]] = {}
    with connection.cursor(name="audit_remembered") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        for bucket, digest, height in cursor.execute(_REMEMBERED, binary=True):
            count, running = found.get(bucket, (0, bytes(32)))
            found[bucket] = count + 1, digests.remembered_next(running, height, digest)
    for bucket in sorted(found.keys() | expected.keys()):
        (count, running), (rows, hashed) = expected.get(bucket, (0, bytes(32))), found.get(bucket, (0, bytes(32)))
        if rows != count:
            findings.add("remembered", f"bucket {bucket}", f"The bucket has {rows} digests, its row says {count}.")
        elif hashed != running:
            findings.add("remembered", f"bucket {bucket}", "Its digests, or their heights, are not those of its hash.")


def row_name(key: bytes) -> str:
    """The key of a row, as a person looks for it."""
    kind, rest = key[:1], key[1:]
    if kind == b"\x02":
        return f"asset {rest[:32].hex()} address {rest[32:].hex()}"
    if kind == b"\x04":
        return f"bucket {int.from_bytes(rest)}"
    if kind == b"\x06":
        return f"parameter {rest.decode(errors='replace')}"
    return f"validator {int.from_bytes(rest)}" if kind == b"\x05" else f"id {rest.hex()}"


def shown(key: bytes, value: bytes) -> str:
    """A leaf's value for a person."""
    leaf = read_leaf(key, value)
    if isinstance(leaf, Rejection):
        return f"bytes that are no leaf ({value.hex()[:_VALUE_SHOWN_MAX]})"
    names = [name for name in getattr(leaf, "__slots__", ()) if name not in ("id", "asset", "address", "bucket")]
    parts = (f"{name} {_plain(getattr(leaf, name))}" for name in names)
    return ", ".join(parts)[:_VALUE_SHOWN_MAX]


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _table(key: bytes) -> str:
    return TABLE_OF.get(key[0] if key else 0, "state")


def _leaf_name(key_hash: bytes, version: int) -> str:
    return f"key hash {key_hash.hex()} version {version}"


def _first_of(path: bytes) -> bytes:
    """The lowest key hash whose nibbles begin with `path`."""
    return bytes.fromhex("".join(f"{nibble:x}" for nibble in path).ljust(64, "0"))


def _beyond(path: bytes) -> bytes | None:
    """The lowest key hash above all that begin with `path`; None: there is none."""
    above = int.from_bytes(_first_of(path)) + (1 << (256 - 4 * len(path)))
    return above.to_bytes(32) if above < 1 << 256 else None
