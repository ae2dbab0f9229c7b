"""What is done to the database beside execution: the next partitions made, the closed ones finished."""

from typing import Final

from projections.connect import Connection
from projections.partitions import make_partitions, partition_heights, unindexed

LOCK: Final = 0x6D6F6D7574
"""Advisory lock: who finds it taken leaves the work to whoever has it."""
BUILD_MEMORY: Final = "256MB"


def maintain(connection: Connection) -> int:
    """Do what is missing; how many partitions were finished. A kill in the middle costs only what it was doing."""
    row = connection.execute("SELECT height FROM ledger.cursor").fetchone()
    taken = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
    if row is None or taken is None or not taken[0]:
        return 0
    try:
        heights = partition_heights(connection)
        live = int(row[0]) // heights
        with connection.transaction():
            make_partitions(connection, (live, live + 1), heights)
        closed = unindexed(connection, live)
        for partition, statements in closed.items():
            _finish(connection, partition, statements)
        return len(closed)
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _finish(connection: Connection, partition: str, statements: list[str]) -> None:
    """Nobody writes to it any more: frozen once, so that no later vacuum reads it again, then indexed in one go.

    The indexes come last and all at once, so that a partition which has them is finished.
    """
    connection.execute(f"VACUUM (FREEZE) ledger.{partition}")
    with connection.transaction():
        connection.execute(f"SET LOCAL maintenance_work_mem = '{BUILD_MEMORY}'")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"ANALYZE ledger.{partition}")
