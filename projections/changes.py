"""What was changed since the last checkpoint: keys, noted in append-only tables by every flush, and emptied by it.

The same key may be there many times. Its value is read from the state when the checkpoint is made.
"""

from collections.abc import Iterable, Iterator

from ledger import leaves
from ledger.state import Effects, Wanted
from projections.connect import Connection
from projections.copying import copy
from projections.packing import pack_columns, pack_rows
from projections.prefetch import prefetch

_BALANCES = "SELECT DISTINCT asset, address FROM ledger.changed_balances"
_KEYS = "SELECT DISTINCT key FROM ledger.changed_keys"


def note_changes(connection: Connection, effects: Effects) -> None:
    """Note the keys that `effects` change, but those of expired buckets: the flush that finds them notes them."""
    for rows in (effects.balances_inserted, effects.balances_updated, effects.balances_deleted):
        copy(connection, "ledger.changed_balances", pack_columns(rows[["asset", "address"]]))
    copy(connection, "ledger.changed_keys", pack_rows((key,) for key in _keys(effects)))


def take_keys(connection: Connection) -> list[bytes]:
    """The leaf keys of all that changed since this was last called, each once."""
    balances = connection.execute(_BALANCES, binary=True)
    keys = [leaves.balance_key(asset, address) for asset, address in balances]
    keys += [key for (key,) in connection.execute(_KEYS, binary=True)]
    connection.execute("TRUNCATE ledger.changed_balances, ledger.changed_keys")
    return keys


def values_of(connection: Connection, keys: Iterable[bytes]) -> dict[bytes, bytes | None]:
    """Leaf key -> value now, None where it is gone."""
    wanted = _wanted(keys)
    found = prefetch(connection, wanted)
    values: dict[bytes, bytes | None] = {}
    for asset, addresses in wanted.balances.items():
        amounts = found.balances.get(asset, {})
        for address in addresses:
            amount = amounts.get(address)
            values[leaves.balance_key(asset, address)] = None if amount is None else leaves.balance_value(amount)
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
    by_asset: dict[bytes, list[bytes]] = {}
    ids: dict[int, list[bytes]] = {kind: [] for kind in leaves.Kind}
    for key in keys:
        if key[0] == leaves.Kind.BALANCE:
            by_asset.setdefault(key[1:33], []).append(key[33:])
        else:
            ids[key[0]].append(key[1:])
    return Wanted(
        balances={asset: tuple(addresses) for asset, addresses in by_asset.items()},
        assets=tuple(ids[leaves.Kind.ASSET]),
        objects=tuple(ids[leaves.Kind.OBJECT]),
        digests=(),
        buckets=tuple(int.from_bytes(bucket) for bucket in ids[leaves.Kind.BUCKET]),
    )
