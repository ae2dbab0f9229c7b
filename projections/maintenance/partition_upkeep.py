"""What is done to the database beside execution: the next partitions made, the closed ones finished."""

from typing import Final

from psycopg.errors import LockNotAvailable

from projections.maintenance.live_slices import forget_slices, merge_slices
from projections.maintenance.partitions import make_partitions, partition_heights, unindexed
from projections.session.connect import Connection

BUILD_MEMORY: Final = "256MB"


def maintain(connection: Connection) -> int:
    """Do what is missing; how many partitions were finished. A kill in the middle costs only what it was doing, and
    what somebody else is at is left to him."""
    row = connection.execute("SELECT height FROM ledger.cursor").fetchone()
    if row is None:
        return 0
    heights = partition_heights(connection)
    live = int(row[0]) // heights
    with connection.transaction():
        make_partitions(connection, (live, live + 1), heights)
    closed = unindexed(connection, live)
    finished = sum(_finish(connection, partition, statements) for partition, statements in closed.items())
    if finished == len(closed):
        forget_slices(connection, live * heights)
    merge_slices(connection)
    return finished


def _finish(connection: Connection, partition: str, statements: list[str]) -> bool:
    """Nobody writes to it any more: frozen once, so that no later vacuum reads it again, then indexed in one go.

    The indexes come last and all at once, so that a partition which has them is finished. The lock is one that only
    who owns the tables can take.
    """
    connection.execute(f"VACUUM (FREEZE, SKIP_LOCKED) ledger.{partition}")
    try:
        with connection.transaction():
            connection.execute(f"LOCK TABLE ledger.{partition} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT")
            connection.execute(f"SET LOCAL maintenance_work_mem = '{BUILD_MEMORY}'")
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"ANALYZE ledger.{partition}")
    except LockNotAvailable:
        return False
    return True
