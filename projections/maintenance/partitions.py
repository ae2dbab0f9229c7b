"""Partitions of the history tables, by height: made ahead, given their secondary indexes once they are closed.

Partition n holds the heights from n * partition_heights up to, without, (n + 1) * partition_heights. The live one has
only its primary key, because every further index halves the rate of a flush; what leads to its rows meanwhile is
`projections.rows.live_index`.
"""

from collections.abc import Iterable
from typing import Final

from projections.session.connect import Connection

HISTORY: Final = ("blocks", "transactions", "rejections", "transfers", "object_versions")

CLOSED_INDEXES: Final = (
    ("transactions", "digest", "(encode(digest, 'hex'))"),
    ("transactions", "signer", "(encode(signer, 'hex'), height)"),
    ("transfers", "sender", "((CASE WHEN kind <> 1 THEN encode(sender, 'hex') END), height)"),
    ("transfers", "recipient", "((CASE WHEN kind <> 2 THEN encode(recipient, 'hex') END), height)"),
    ("transfers", "asset", "(encode(asset, 'hex'), height)"),
    ("rejections", "digest", "(encode(digest, 'hex'))"),
    ("rejections", "signer", "(encode(signer, 'hex'), height)"),
    ("object_versions", "object", "(encode(object, 'hex'), version)"),
)
"""(table, name, columns): the expressions are those of the views, so that a filter by hex text finds its index."""

_PARTITIONS = """SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = ANY(%s::regclass[])"""
_INDEXES = "SELECT indexname FROM pg_indexes WHERE schemaname = 'ledger'"


def name_of(table: str, number: int) -> str:
    """The name of partition `number` of a history table, without the schema."""
    return f"{table}_{number:010d}"


def partition_heights(connection: Connection) -> int:
    """How many heights a partition spans."""
    row = connection.execute("SELECT partition_heights FROM ledger.layout").fetchone()
    assert row is not None
    return int(row[0])


def make_partitions(connection: Connection, numbers: Iterable[int], heights: int) -> None:
    """Make these partitions of every history table, where they are missing. Within a transaction: flush and
    maintenance take turns until its end.

    Attached rather than created in place: that takes a lock which readers of the parent do not notice.
    """
    connection.execute("SELECT FROM ledger.layout FOR UPDATE")
    for number in numbers:
        for table in HISTORY:
            name = name_of(table, number)
            row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"ledger.{name}"]).fetchone()
            if row is None or not row[0]:
                bounds = f"FROM ({number * heights}) TO ({(number + 1) * heights})"
                connection.execute(f"CREATE TABLE ledger.{name} (LIKE ledger.{table} INCLUDING ALL)")
                connection.execute(f"ALTER TABLE ledger.{table} ATTACH PARTITION ledger.{name} FOR VALUES {bounds}")


def unindexed(connection: Connection, below: int) -> dict[str, list[str]]:
    """The closed partitions (with a number below `below`) that lack indexes, oldest first, and what makes those."""
    parents = [f"ledger.{table}" for table in HISTORY]
    partitions = sorted(str(row[0]) for row in connection.execute(_PARTITIONS, [parents]))
    present = {str(row[0]) for row in connection.execute(_INDEXES)}
    found: dict[str, list[str]] = {}
    for partition in sorted(partitions, key=lambda name: name[-10:]):
        table, _, number = partition.rpartition("_")
        for owner, label, columns in CLOSED_INDEXES:
            index = f"{partition}_{label}"
            if int(number) < below and owner == table and index not in present:
                found.setdefault(partition, []).append(
                    f"CREATE INDEX IF NOT EXISTS {index} ON ledger.{partition} {columns}"
                )
    return found
