"""What was changed since the last checkpoint: keys, noted in append-only tables by every flush, and emptied by it.

The same key may be there many times. Its value is read from the state when the checkpoint is made.
"""

from collections.abc import Iterable, Iterator

from psycopg.errors import LockNotAvailable

from ledger import leaves
from ledger.leaves import Kind
from ledger.state import Effects, Wanted
from projections.connect import Connection
from projections.copying import copy
from projections.packing import pack_columns, pack_rows
from projections.prefetch import prefetch

_BALANCES = rf"""SELECT '\x{Kind.BALANCE:02x}'::bytea || c.asset || c.address, int8send(b.amount)
FROM (SELECT DISTINCT asset, address FROM ledger.changed_balances) AS c
LEFT JOIN ledger.balances AS b ON b.asset = c.asset AND b.address = c.address"""
_TABLES = "ledger.changed_balances, ledger.changed_keys"
_KEYS = "SELECT DISTINCT key FROM ledger.changed_keys"


def note_changes(connection: Connection, effects: Effects) -> None:
    """Note the keys that `effects` change, but those of expired buckets: the flush that finds them notes them."""
    for rows in (effects.balances_inserted, effects.balances_updated, effects.balances_deleted):
        copy(connection, "ledger.changed_balances", pack_columns(rows[["asset", "address"]]))
    copy(connection, "ledger.changed_keys", pack_rows((key,) for key in _keys(effects)))


def take_changes(connection: Connection) -> tuple[dict[bytes, bytes | None], list[bytes]]:
    """Of all that changed since this was last called, each once: balances by their leaf keys, with the value now (None:
    it is gone); and the leaf keys of what may be larger, for `values_of`.
    """
    balances: dict[bytes, bytes | None] = dict(connection.execute(_BALANCES, binary=True))
    keys = [key for (key,) in connection.execute(_KEYS, binary=True)]
    _forget(connection)
    return balances, keys


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
