"""Partitions of the history tables, by height: made ahead, given their secondary indexes once they are closed.

Partition n holds the heights from n * partition_heights up to, without, (n + 1) * partition_heights. The live one has
only its primary key, because every further index halves the rate of a flush.
"""

from typing import Final

import psycopg

HISTORY: Final = ("blocks", "transactions", "rejections", "transfers", "object_versions")

CLOSED_INDEXES: Final = (
    ("transactions", "digest", "(digest)"),
    ("transactions", "signer", "(signer, height)"),
    ("transfers", "sender", "(sender, height)"),
    ("transfers", "recipient", "(recipient, height)"),
    ("rejections", "digest", "(digest)"),
    ("object_versions", "object", "(object, version)"),
)

_Connection = psycopg.Connection[tuple[object, ...]]


def name_of(table: str, number: int) -> str:
    """The name of partition `number` of a history table, without the schema."""
    return f"{table}_{number:010d}"


def create_partition(connection: _Connection, number: int, partition_heights: int) -> None:
    """Make partition `number` of every history table, unless it is there.

    Attached rather than created in place: that takes a lock which readers of the parent do not notice.
    """
    start, stop = number * partition_heights, (number + 1) * partition_heights
    for table in HISTORY:
        name = name_of(table, number)
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"ledger.{name}",)).fetchone()
        if row is not None and row[0]:
            continue
        connection.execute(f"CREATE TABLE ledger.{name} (LIKE ledger.{table} INCLUDING ALL)")
        connection.execute(
            f"ALTER TABLE ledger.{table} ATTACH PARTITION ledger.{name} FOR VALUES FROM ({start}) TO ({stop})"
        )


def unindexed(connection: _Connection, below: int) -> list[str]:
    """The statements that are missing on the closed partitions, those with a number below `below`."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_class p ON p.oid = inhparent "
        "JOIN pg_namespace n ON n.oid = p.relnamespace WHERE n.nspname = 'ledger' AND p.relname = ANY(%s)",
        (list(HISTORY),),
    ).fetchall()
    indexes = connection.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'ledger'").fetchall()
    present = {str(row[0]) for row in indexes}
    found = []
    for (partition,) in sorted(rows):
        table, _, number = str(partition).rpartition("_")
        if int(number) < below:
            for owner, label, columns in CLOSED_INDEXES:
                index = f"{partition}_{label}"
                if owner == table and index not in present:
                    found.append(f"CREATE INDEX {index} ON ledger.{partition} {columns}")
    return found
