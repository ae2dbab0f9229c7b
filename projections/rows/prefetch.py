"""The inputs of a block group, in one round trip: whatever of it is wanted, asked in one pipeline."""

from collections.abc import Sequence
from typing import Any, Final

from ledger.commands import Ownership
from ledger.state import Asset, Inputs, Object, Wanted
from projections.session.connect import Connection
from projections.session.packing import digests_array, int8_array

_BALANCES = """SELECT b.asset, b.address, b.amount FROM unnest(%s, %s) AS w (asset, address)
JOIN ledger.balances AS b ON b.asset = w.asset AND b.address = w.address"""
_ASSETS = "SELECT id, name, decimals, issuer, supply FROM ledger.assets WHERE id = ANY(%s)"
OBJECT_COLUMNS: Final = (
    "id, version, ownership, owner, writers, details_digest, content_version, content_size_bytes, content_digest"
)
"""As `object_of` takes them."""
_OBJECTS = f"SELECT {OBJECT_COLUMNS} FROM ledger.objects WHERE id = ANY(%s)"
_WRITERS = """SELECT o.object || o.writer FROM unnest(%s, %s) AS w (object, writer)
JOIN ledger.object_writers AS o ON o.object = w.object AND o.writer = w.writer"""
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
            _WRITERS,
            len(wanted.writers),
            lambda: (
                digests_array([pair[:32] for pair in wanted.writers]),
                digests_array([pair[32:] for pair in wanted.writers]),
            ),
        ),
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


def _inputs(balances: _Rows, assets: _Rows, objects: _Rows, writers: _Rows, digests: _Rows, buckets: _Rows) -> Inputs:
    amounts: dict[bytes, dict[bytes, int]] = {}
    for asset, address, amount in balances:
        amounts.setdefault(asset, {})[address] = amount
    return Inputs(
        balances=amounts,
        assets={row[0]: Asset(*row) for row in assets},
        objects={row[0]: object_of(row) for row in objects},
        writers=frozenset(row[0] for row in writers),
        digests=frozenset(row[0] for row in digests),
        buckets={bucket: (count, running) for bucket, count, running in buckets},
    )


def object_of(row: Sequence[Any]) -> Object:
    """The object of a row of OBJECT_COLUMNS."""
    return Object(row[0], row[1], Ownership(row[2]), *row[3:])
