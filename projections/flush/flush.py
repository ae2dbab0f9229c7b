"""Writing effects: history by binary COPY, state by arrays. All within the transaction that the caller has begun."""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.state import Asset, BlockRow, Effects, Object, ObjectContent, ObjectVersionRow, RejectionRow, TransactionRow
from projections.flush.changes import note_changes
from projections.rows.heads import heads_to_json
from projections.rows.live_index import write_live_index
from projections.rows.object_rows import object_fields
from projections.session.connect import Connection
from projections.session.errors import StateDiffers
from projections.session.packing import (
    boolean,
    bytes_array,
    copy,
    digests_array,
    in_pieces,
    int2,
    int4,
    int8,
    int8_array,
    jsonb,
    pack_columns,
    pack_rows,
)

_REMEMBERED: Final = np.dtype([("bucket", "<i8"), ("digest", "V32"), ("height", "<i8"), ("rank", "<i8")])
_OBJECTS_AT_ONCE: Final = 5_000
_HEAD = Struct(">hiqiiiiiqiii32si32si")
_TAIL = Struct(">iqii")

_UPDATE_BALANCES = """UPDATE ledger.balances AS b SET amount = w.amount
FROM unnest(%s, %s, %s) AS w (asset, address, amount) WHERE b.asset = w.asset AND b.address = w.address"""
_DELETE_BALANCES = """DELETE FROM ledger.balances AS b
USING unnest(%s, %s) AS w (asset, address) WHERE b.asset = w.asset AND b.address = w.address"""
_UPDATE_ASSETS = """UPDATE ledger.assets AS a SET supply = w.supply
FROM unnest(%s, %s) AS w (id, supply) WHERE a.id = w.id"""
_UPDATE_OBJECTS = """UPDATE ledger.objects AS o SET version = w.version, ownership = w.ownership, owner = w.owner,
writers = w.writers, details_digest = w.details_digest, content_version = w.content_version,
content_size_bytes = w.content_size_bytes, content_digest = w.content_digest
FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s) AS w (id, version, ownership, owner, writers, details_digest,
    content_version, content_size_bytes, content_digest) WHERE o.id = w.id"""
_DELETE_OBJECTS = "DELETE FROM ledger.objects WHERE id = ANY(%s)"
_UPSERT_BUCKET = """INSERT INTO ledger.expiry_buckets VALUES (%s, %s, %s)
ON CONFLICT (bucket) DO UPDATE SET count = excluded.count, hash = excluded.hash"""
_EXPIRE = (
    "DELETE FROM ledger.remembered WHERE bucket < %s",
    r"""WITH gone AS (DELETE FROM ledger.expiry_buckets WHERE bucket < %s RETURNING bucket)
INSERT INTO ledger.changed_keys SELECT '\x04'::bytea || int8send(bucket) FROM gone""",
)


def write_effects(connection: Connection, effects: Effects) -> None:
    """All rows of `effects`, and the keys that they change."""
    _write_history(connection, effects)
    _write_balances(connection, effects)
    _write_assets(connection, effects)
    _write_objects(connection, effects)
    _write_remembered(connection, effects)
    note_changes(connection, effects)


def _write_history(connection: Connection, effects: Effects) -> None:
    copy(connection, "ledger.blocks", pack_rows(map(_block, effects.blocks)))
    copy(connection, "ledger.transactions", in_pieces(map(_transaction, effects.transactions)))
    copy(connection, "ledger.rejections", pack_rows(map(_rejection, effects.rejections)))
    copy(connection, "ledger.transfers", pack_columns(effects.transfers))
    copy(connection, "ledger.object_versions", pack_rows(map(_object_version, effects.object_versions)))
    copy(connection, "ledger.object_types", pack_rows((key, kind.encode()) for key, kind in effects.object_types))
    copy(connection, "ledger.object_writers", pack_rows(_writers(effects)))
    copy(connection, "ledger.object_contents", pack_rows(map(_content, effects.object_contents)))
    write_live_index(connection, effects)


def _write_balances(connection: Connection, effects: Effects) -> None:
    """Known rows are updated, new ones copied: the executor knows which are which."""
    copy(connection, "ledger.balances", pack_columns(effects.balances_inserted))
    updated, deleted = effects.balances_updated, effects.balances_deleted
    if len(updated):
        parameters = (*_keys(updated), int8_array(updated["amount"]))
        _expect(connection, len(updated), _UPDATE_BALANCES, parameters)
    if len(deleted):
        _expect(connection, len(deleted), _DELETE_BALANCES, _keys(deleted))


def _keys(balances: NDArray[Any]) -> tuple[Any, ...]:
    return digests_array(balances["asset"]), digests_array(balances["address"])


def _write_assets(connection: Connection, effects: Effects) -> None:
    copy(connection, "ledger.assets", pack_rows(map(_asset, effects.assets_inserted)))
    if updated := effects.assets_updated:
        parameters = digests_array([asset.id for asset in updated]), int8_array([asset.supply for asset in updated])
        _expect(connection, len(updated), _UPDATE_ASSETS, parameters)


def _write_objects(connection: Connection, effects: Effects) -> None:
    copy(connection, "ledger.objects", pack_rows(map(object_fields, effects.objects_inserted)))
    updated = effects.objects_updated
    for start in range(0, len(updated), _OBJECTS_AT_ONCE):
        part = updated[start : start + _OBJECTS_AT_ONCE]
        _expect(connection, len(part), _UPDATE_OBJECTS, _changed(part))
    if effects.objects_deleted:
        _expect(connection, len(effects.objects_deleted), _DELETE_OBJECTS, (digests_array(effects.objects_deleted),))


def _write_remembered(connection: Connection, effects: Effects) -> None:
    for statement in _EXPIRE:
        connection.execute(statement, (effects.buckets_expired_below,))
    remembered = np.array(list(effects.remembered), _REMEMBERED) if effects.remembered else np.empty(0, _REMEMBERED)
    copy(connection, "ledger.remembered", pack_columns(remembered))
    if effects.buckets:
        with connection.cursor() as cursor:
            cursor.executemany(_UPSERT_BUCKET, [(bucket, *value) for bucket, value in effects.buckets.items()])


def _expect(connection: Connection, rows: int, statement: str, parameters: Sequence[Any]) -> None:
    _check(connection.execute(statement, parameters, prepare=False).rowcount, rows, statement)


def _check(changed: int, expected: int, what: str) -> None:
    """The executor's picture of the database is wrong, or a row was changed by hand: nothing may be committed."""
    if changed != expected:
        raise StateDiffers(f"{expected} rows were to change, {changed} did: {what.split(' AS ')[0]}.")


def _block(row: BlockRow) -> Sequence[bytes | None]:
    return (
        int8(row.height),
        row.digest,
        row.parent_digest,
        int8(row.epoch),
        int8(row.view),
        int4(row.proposer),
        int8(row.time_ms),
        jsonb(heads_to_json(row.heads)),
        int4(row.records),
        int4(row.transactions),
        int4(row.transfers),
        int4(row.rejections),
    )


def _transaction(row: TransactionRow) -> bytes:
    """One row in two packs around the only field of varying width: this runs for every transaction."""
    reference = row.reference
    return b"".join(
        (
            _HEAD.pack(
                10, 8, row.height, 4, row.index, 4, row.partition, 8, row.offset, 4, row.item,
                32, row.digest, 32, row.signer, len(reference),
            ),
            reference,
            _TAIL.pack(8, row.expires_at_ms, 4, row.commands),
        )
    )  # fmt: skip


def _rejection(row: RejectionRow) -> Sequence[bytes | None]:
    return (
        int8(row.height),
        int4(row.index),
        int4(row.partition),
        int8(row.offset),
        int4(row.item),
        int4(row.reason),
        row.digest,
        row.signer,
        row.reference,
    )


def _asset(asset: Asset) -> Sequence[bytes | None]:
    return asset.id, asset.name.encode(), int4(asset.decimals), asset.issuer, int8(asset.supply)


def _object_version(row: ObjectVersionRow) -> Sequence[bytes | None]:
    item = row.object
    return (
        int8(row.height),
        int4(row.transaction),
        int4(row.command),
        item.id,
        int8(item.version),
        int2(item.ownership),
        item.owner,
        int8(item.content_version),
        boolean(row.deleted),
    )


def _content(row: ObjectContent) -> Sequence[bytes | None]:
    return row.object, int8(row.version), row.media_type.encode(), row.content


def _writers(effects: Effects) -> Iterator[Sequence[bytes | None]]:
    for key, packed in effects.object_writers:
        for start in range(0, len(packed), 32):
            yield key, packed[start : start + 32]


def _changed(items: Sequence[Object]) -> Sequence[Any]:
    return (
        digests_array([item.id for item in items]),
        int8_array([item.version for item in items]),
        int8_array([item.ownership for item in items]),
        bytes_array([item.owner for item in items]),
        int8_array([item.writers for item in items]),
        digests_array([item.details_digest for item in items]),
        int8_array([item.content_version for item in items]),
        int8_array([item.content_size_bytes for item in items]),
        digests_array([item.content_digest for item in items]),
    )
