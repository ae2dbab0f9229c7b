"""The inputs of a block group, in one round trip: whatever of it is wanted, asked in one pipeline."""

from typing import Any

from ledger.commands import Ownership
from ledger.state import Asset, Inputs, Object, Wanted
from projections.connect import Connection
from projections.packing import digests_array, int8_array

_BALANCES = """SELECT b.asset, b.address, b.amount FROM unnest(%s, %s) AS w (asset, address)
JOIN ledger.balances AS b ON b.asset = w.asset AND b.address = w.address"""
_ASSETS = "SELECT id, name, decimals, issuer, supply FROM ledger.assets WHERE id = ANY(%s)"
_OBJECTS = """SELECT id, version, ownership, owner, writers, type, media_type, content
FROM ledger.objects WHERE id = ANY(%s)"""
_DIGESTS = """SELECT r.digest FROM unnest(%s, %s) AS w (bucket, digest)
JOIN ledger.remembered AS r ON r.bucket = w.bucket AND r.digest = w.digest"""
_BUCKETS = "SELECT bucket, count, hash FROM ledger.expiry_buckets WHERE bucket = ANY(%s)"

_Rows = list[tuple[Any, ...]]


def prefetch(connection: Connection, wanted: Wanted) -> Inputs:
    """What exists of `wanted`."""
    assets = [asset for asset, addresses in wanted.balances.items() for _ in addresses]
    addresses = [address for several in wanted.balances.values() for address in several]
    questions = (
        (_BALANCES, len(addresses), lambda: (digests_array(assets), digests_array(addresses))),
        (_ASSETS, len(wanted.assets), lambda: (digests_array(wanted.assets),)),
        (_OBJECTS, len(wanted.objects), lambda: (digests_array(wanted.objects),)),
        (
            _DIGESTS,
            len(wanted.digests),
            lambda: (int8_array([b for b, _ in wanted.digests]), digests_array([d for _, d in wanted.digests])),
        ),
        (_BUCKETS, len(wanted.buckets), lambda: (int8_array(wanted.buckets),)),
    )
    with connection.pipeline():
        cursors = [
            connection.execute(query, parameters(), binary=True) if count else None
            for query, count, parameters in questions
        ]
    answers: list[_Rows] = [cursor.fetchall() if cursor is not None else [] for cursor in cursors]
    return _inputs(*answers)


def _inputs(balances: _Rows, assets: _Rows, objects: _Rows, digests: _Rows, buckets: _Rows) -> Inputs:
    amounts: dict[bytes, dict[bytes, int]] = {}
    for asset, address, amount in balances:
        amounts.setdefault(asset, {})[address] = amount
    return Inputs(
        balances=amounts,
        assets={row[0]: Asset(*row) for row in assets},
        objects={row[0]: object_of(row) for row in objects},
        digests=frozenset(row[0] for row in digests),
        buckets={bucket: (count, running) for bucket, count, running in buckets},
    )


def object_of(row: tuple[Any, ...]) -> Object:
    """The object of a row `id, version, ownership, owner, writers, type, media_type, content`."""
    key, version, ownership, owner, writers, kind, media_type, content = row
    return Object(key, version, Ownership(ownership), owner, unpack(writers), kind, media_type, content)


def unpack(writers: bytes) -> tuple[bytes, ...]:
    """Packed addresses of 32 bytes, one by one."""
    return tuple(writers[start : start + 32] for start in range(0, len(writers), 32))
