"""What was changed since the last checkpoint: keys, noted in append-only tables by every flush, and emptied by it.

The same key may be there many times. Its value is read from the state when the checkpoint is made.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from psycopg.errors import LockNotAvailable

from ledger import leaves
from ledger.leaves import Kind, Leaf
from ledger.state import Effects, Wanted
from projections.rows.prefetch import prefetch
from projections.session.connect import Connection
from projections.session.packing import copy, pack_columns, pack_rows

_TABLES: Final = "ledger.changed_balances, ledger.changed_keys"
_HASH: Final = rf"sha256('\x{leaves.TAG_KEY.hex()}'::bytea || {{}})"
_BALANCE: Final = rf"'\x{Kind.BALANCE:02x}'::bytea || c.asset || c.address"
_HASHES: Final = f"""SELECT {_HASH.format(_BALANCE)} FROM ledger.changed_balances AS c
UNION SELECT {_HASH.format("key")} FROM ledger.changed_keys ORDER BY 1"""
_LEAVES: Final = f"""SELECT {_HASH.format("key")}, key, value FROM (
    SELECT {_BALANCE} AS key, int8send(b.amount) AS value
    FROM (SELECT DISTINCT asset, address FROM ledger.changed_balances) AS c
    LEFT JOIN ledger.balances AS b ON b.asset = c.asset AND b.address = c.address
    UNION ALL SELECT DISTINCT key, NULL::bytea FROM ledger.changed_keys
) AS w ORDER BY 1"""
_HASHES_AT_ONCE: Final = 20_000

Changed = tuple[bytes, bytes | None]
"""(leaf key, its value now, or None: it is gone)"""


def note_changes(connection: Connection, effects: Effects) -> None:
    """Note the keys that `effects` change, but those of expired buckets: the flush that finds them notes them."""
    for rows in (effects.balances_inserted, effects.balances_updated, effects.balances_deleted):
        copy(connection, "ledger.changed_balances", pack_columns(rows[["asset", "address"]]))
    copy(connection, "ledger.changed_keys", pack_rows((key,) for key in _keys(effects)))


class Changes:
    """All that changed since this was last forgotten, each key once, by rising key hash. In memory are the hashes of
    all, since they may be many, and the leaves of a part. Within one transaction.
    """

    def __init__(self, connection: Connection, more: Iterable[Leaf] = ()) -> None:
        """`more`: leaves that no flush has noted."""
        self._connection = connection
        self._more: dict[bytes, Changed] = {leaves.key_hash(key): (key, value) for key, value in more}
        with connection.cursor(name="changed_hashes") as cursor:
            cursor.itersize = _HASHES_AT_ONCE
            self.key_hashes = [key_hash for (key_hash,) in cursor.execute(_HASHES, binary=True)]
        if self._more:
            self.key_hashes = sorted([*self.key_hashes, *self._more])
        self._rows = connection.cursor(name="changed_leaves")
        self._rows.execute(_LEAVES, binary=True)

    def take(self, key_hashes: Sequence[bytes]) -> dict[bytes, Changed]:
        """The leaves of the next part of `key_hashes`, which is taken from its start to its end."""
        found = {key_hash: self._more[key_hash] for key_hash in key_hashes if key_hash in self._more}
        count = len(key_hashes) - len(found)
        rows = self._rows.fetchmany(count) if count else []
        others = values_of(self._connection, (key for _, key, _ in rows if key[0] != Kind.BALANCE))
        found.update((key_hash, (key, others.get(key, value))) for key_hash, key, value in rows)
        return found

    def forget(self) -> None:
        """From now on nothing has changed."""
        self.close()
        _forget(self._connection)

    def close(self) -> None:
        """No more is taken."""
        self._rows.close()


def _forget(connection: Connection) -> None:
    """Empty the tables; truncating is what costs nothing, but while somebody reads them it would have to wait for him:
    no flush does."""
    try:
        with connection.transaction():
            connection.execute(f"LOCK TABLE {_TABLES} IN ACCESS EXCLUSIVE MODE NOWAIT")
            connection.execute(f"TRUNCATE {_TABLES}")
    except LockNotAvailable:
        connection.execute("DELETE FROM ledger.changed_balances")
        connection.execute("DELETE FROM ledger.changed_keys")


def values_of(connection: Connection, keys: Iterable[bytes]) -> dict[bytes, bytes | None]:
    """Leaf key -> value now, None where it is gone: of anything but balances."""
    wanted = _wanted(keys)
    found = prefetch(connection, wanted)
    values: dict[bytes, bytes | None] = {}
    for asset in wanted.assets:
        values[leaves.asset_key(asset)] = leaves.asset_value(found.assets[asset]) if asset in found.assets else None
    for item in wanted.objects:
        values[leaves.object_key(item)] = leaves.object_value(found.objects[item]) if item in found.objects else None
    for bucket in wanted.buckets:
        values[leaves.bucket_key(bucket)] = (
            leaves.bucket_value(*found.buckets[bucket]) if bucket in found.buckets else None
        )
    return values


def _keys(effects: Effects) -> Iterator[bytes]:
    for asset in (*effects.assets_inserted, *effects.assets_updated):
        yield leaves.asset_key(asset.id)
    for item in (*effects.objects_inserted, *effects.objects_updated):
        yield leaves.object_key(item.id)
    yield from map(leaves.object_key, effects.objects_deleted)
    yield from map(leaves.bucket_key, effects.buckets)


def _wanted(keys: Iterable[bytes]) -> Wanted:
    ids: dict[int, list[bytes]] = {kind: [] for kind in Kind}
    for key in keys:
        ids[key[0]].append(key[1:])
    return Wanted(
        balances={},
        assets=tuple(ids[Kind.ASSET]),
        objects=tuple(ids[Kind.OBJECT]),
        writers=(),
        digests=(),
        buckets=tuple(int.from_bytes(bucket) for bucket in ids[Kind.BUCKET]),
    )
