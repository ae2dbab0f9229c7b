"""Removing what nobody needs any more: nodes and leaves of the tree that were superseded, and old history."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg.errors import LockNotAvailable

from projections.maintenance.partitions import HISTORY, name_of, partition_heights
from projections.session.connect import Connection

STALE_AT_ONCE: Final = 20_000
LOCK_WAIT: Final = "200ms"
"""Emptying a closed partition waits so long for its readers, and new ones of it for them; then another time is as
good. Nothing that is still written to is waited for."""
REMOVE_TRIES: Final = 20

_PRUNE_TREE: Final = """WITH gone AS (
    DELETE FROM ledger.tree_stale WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ledger.tree_stale WHERE since <= %s ORDER BY since LIMIT %s))
    RETURNING is_leaf, key, version
), nodes AS (
    DELETE FROM ledger.tree_nodes AS n USING gone AS g WHERE NOT g.is_leaf AND n.path = g.key AND n.version = g.version
), leaves AS (
    DELETE FROM ledger.tree_leaves AS l USING gone AS g
    WHERE g.is_leaf AND l.key_hash = g.key AND l.version = g.version
)
SELECT count(*) FROM gone"""
_NOTE: Final = """INSERT INTO ledger.pruning VALUES (true, %(floor)s, %(partitions)s, %(pieces)s, %(bytes)s, now())
ON CONFLICT (one) DO UPDATE SET history_floor = greatest(pruning.history_floor, excluded.history_floor),
    partitions_removed = pruning.partitions_removed + excluded.partitions_removed,
    tree_pieces_removed = pruning.tree_pieces_removed + excluded.tree_pieces_removed,
    store_bytes_removed = pruning.store_bytes_removed + excluded.store_bytes_removed, pruned_at = excluded.pruned_at"""
_PARTITIONS: Final = """SELECT DISTINCT right(c.relname, 10)::bigint FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = ANY(%s::regclass[]) ORDER BY 1"""
_THERE: Final = """SELECT t, pg_relation_size(to_regclass('ledger.' || t)) > 0 FROM unnest(%s::text[]) AS t
WHERE to_regclass('ledger.' || t) IS NOT NULL"""
_BETWEEN_FLUSHES: Final = "SELECT FROM ledger.cursor FOR UPDATE"
"""A flush has moved the cursor before it writes anything: so none is under way, and none begins."""
_SIZES: Final = """SELECT right(c.relname, 10)::bigint, sum(pg_total_relation_size(c.oid))::bigint
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = ANY(%s::regclass[]) GROUP BY 1 ORDER BY 1"""
_AT_TIME: Final = "SELECT coalesce(max(height), 0) FROM ledger.blocks WHERE height <= %s AND time_ms <= %s"
_FORGET: Final = (
    """DELETE FROM ledger.object_contents AS c USING (
    SELECT object, max(version) AS version FROM ledger.{} WHERE deleted OR content_version = version GROUP BY object
) AS v WHERE c.object = v.object AND c.version < v.version""",
    "DELETE FROM ledger.object_types AS t USING ledger.{} AS v WHERE v.deleted AND t.object = v.object",
    "DELETE FROM ledger.object_writers AS w USING ledger.{} AS v WHERE v.deleted AND w.object = v.object",
)
"""What versions of objects in a partition have superseded, or were the last to have: no later version refers to it.
Each object once: joined with all of its versions, one that was updated n times would cost n² rows."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How much history is kept; 0: no bound. The strictest bound wins. Age is in ms before the last block's time."""

    heights: int = 0
    ms: int = 0
    bytes: int = 0

    @property
    def is_all(self) -> bool:
        """Whether nothing is ever removed."""
        return not (self.heights or self.ms or self.bytes)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one call removed."""

    partitions: int
    pieces: int


def prune(connection: Connection, keep: Keep, below: int) -> Pruned:
    """Remove what is due: pieces of the tree, and history that is not kept, both at or below `below`; and note it."""
    pieces = prune_tree(connection, below)
    floor = min(history_floor(connection, keep), below)
    dropped = prune_history(connection, floor) if floor > 0 else []
    if pieces or dropped:
        note_pruned(connection, floor if dropped else 0, len(dropped), pieces, 0)
    return Pruned(len(dropped), pieces)


def prune_tree(connection: Connection, certified_height: int) -> int:
    """Remove what was superseded at or below a certified checkpoint, up to STALE_AT_ONCE pieces; how many.

    Proofs are of the newest certified checkpoint or of later ones, so nothing older is ever read.
    """
    row = connection.execute(_PRUNE_TREE, [certified_height, STALE_AT_ONCE]).fetchone()
    return 0 if row is None else int(row[0])


def history_floor(connection: Connection, keep: Keep) -> int:
    """The height up to which, and with which, history may go; a multiple of the partition's span, less one."""
    row = connection.execute("SELECT height, time_ms FROM ledger.cursor").fetchone()
    if row is None or keep.is_all:
        return 0
    height, time_ms = int(row[0]), int(row[1])
    heights = partition_heights(connection)
    floor = max(0, height - keep.heights) if keep.heights else 0
    if keep.ms:
        found = connection.execute(_AT_TIME, [height, time_ms - keep.ms]).fetchone()
        floor = max(floor, 0 if found is None else int(found[0]))
    if keep.bytes:
        floor = max(floor, _floor_by_size(connection, keep.bytes, heights))
    live = height // heights
    return min((floor + 1) // heights, live) * heights - 1


def prune_history(connection: Connection, floor: int) -> list[str]:
    """Empty the partitions that lie wholly at or below `floor`, oldest first; their names. And take away what is empty.

    A partition can be taken from its table only while nobody at all uses the table: so that is tried, and not waited
    for. What matters, the space, is free before.
    """
    heights = partition_heights(connection)
    parents = [f"ledger.{table}" for table in HISTORY]
    numbers = [int(row[0]) for row in connection.execute(_PARTITIONS, [parents])]
    due = [number for number in numbers if (number + 1) * heights - 1 <= floor]
    emptied: list[str] = []
    done: list[str] = []
    for number in due:
        names = [name_of(table, number) for table in HISTORY]
        there = {str(name): bool(is_filled) for name, is_filled in connection.execute(_THERE, [names])}
        try:
            if any(there.values()):
                _empty(connection, list(there), (number + 1) * heights - 1)
                emptied += there
            done += there
        except LockNotAvailable:
            break
    if done:
        any(_remove(connection, done) for _ in range(REMOVE_TRIES))
    return emptied


def note_pruned(connection: Connection, floor: int, partitions: int, pieces: int, store_bytes: int) -> None:
    """Add to what `api.pruning` shows."""
    connection.execute(_NOTE, {"floor": floor, "partitions": partitions, "pieces": pieces, "bytes": store_bytes})


def oldest_height(connection: Connection) -> int:
    """The height above which history is there; without any, that of the cursor."""
    query = "SELECT coalesce(min(height) - 1, (SELECT height FROM ledger.cursor), 0) FROM ledger.blocks"
    row = connection.execute(query).fetchone()
    return 0 if row is None else int(row[0])


def _empty(connection: Connection, partitions: Sequence[str], last: int) -> None:
    """Of the heights up to `last`; no flush writes to them any more. Raises: LockNotAvailable."""
    with connection.transaction():
        tables = ", ".join(f"ledger.{name}" for name in partitions)
        connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
        # First of all: whoever waits for readers must hold no row that a flush may want.
        connection.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
        for versions in (name for name in partitions if name.startswith("object_versions")):
            for statement in _FORGET:
                connection.execute(statement.format(versions))
        connection.execute(f"TRUNCATE {tables}")
        for table in ("certificates", "checkpoints"):
            # The next checkpoint names the newest one, however old it is.
            newest = f"SELECT max(height) FROM ledger.{table}"
            connection.execute(f"DELETE FROM ledger.{table} WHERE height <= %s AND height < ({newest})", [last])


def _remove(connection: Connection, partitions: Sequence[str]) -> bool:
    """Drop empty partitions, unless somebody uses their tables at this moment; whether it was done."""
    names = [f"ledger.{name}" for name in partitions]
    tables = ", ".join([f"ONLY ledger.{table}" for table in HISTORY] + names)
    try:
        with connection.transaction():
            connection.execute(_BETWEEN_FLUSHES)
            connection.execute("SET LOCAL lock_timeout = 1")  # of what belongs to the tables
            connection.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE NOWAIT")
            connection.execute(f"DROP TABLE {', '.join(names)}")
    except LockNotAvailable:
        return False
    return True


def _floor_by_size(connection: Connection, bytes_max: int, heights: int) -> int:
    """The last height of the newest partition that must go so that what is left is within the bound."""
    parents = [f"ledger.{table}" for table in HISTORY]
    sizes = [(int(number), int(size)) for number, size in connection.execute(_SIZES, [parents])]
    total = sum(size for _, size in sizes)
    floor = 0
    for number, size in sizes:
        if total <= bytes_max:
            break
        total -= size
        floor = (number + 1) * heights - 1
    return floor
