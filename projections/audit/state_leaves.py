"""Every leaf that the state tables make: what the state root must be of, were nothing else at hand."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from ledger import leaves
from ledger.genesis import Genesis
from ledger.leaves import Leaf
from ledger.state import Asset
from projections.rows.object_rows import WHOLE_OBJECTS, whole_object
from projections.session.connect import Connection

_ROWS_AT_ONCE: Final = 5_000
_Row = tuple[Any, ...]

_TABLES: Final[tuple[tuple[str, Callable[[_Row], Leaf]], ...]] = (
    (
        f"SELECT {WHOLE_OBJECTS}",
        lambda row: (leaves.object_key(row[0]), leaves.object_value(whole_object(row))),
    ),
    (
        "SELECT asset, address, amount FROM ledger.balances",
        lambda row: (leaves.balance_key(row[0], row[1]), leaves.balance_value(row[2])),
    ),
    (
        "SELECT id, name, decimals, issuer, supply FROM ledger.assets",
        lambda row: (leaves.asset_key(row[0]), leaves.asset_value(Asset(*row))),
    ),
    (
        "SELECT bucket, count, hash FROM ledger.expiry_buckets",
        lambda row: (leaves.bucket_key(row[0]), leaves.bucket_value(row[1], row[2])),
    ),
)


def state_leaves(connection: Connection, genesis: Genesis) -> Iterator[Leaf]:
    """As of the transaction that the caller has begun, in no order."""
    yield from leaves.genesis_leaves(genesis)
    for query, leaf_of in _TABLES:
        with connection.cursor(name="leaves") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            for row in cursor.execute(query, binary=True):
                yield leaf_of(row)
