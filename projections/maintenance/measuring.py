"""How large the database is and how busy, as cheaply as Postgres can tell: sizes, its own counts, no table is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from projections.session.connect import Connection

CONNECTION_STATES: Final = ("active", "idle", "idle_in_transaction", "other")

_SIZES: Final = """SELECT pg_database_size(current_database()),
    (SELECT coalesce(sum(n_tup_ins), 0) FROM pg_stat_user_tables
        WHERE schemaname = 'ledger' AND relname IN ('tree_nodes', 'tree_leaves')),
    (SELECT coalesce(sum(n_live_tup), 0) FROM pg_stat_user_tables
        WHERE schemaname = 'ledger' AND relname = 'tree_stale'),
    coalesce(p.history_floor, 0), coalesce(p.partitions_removed, 0), coalesce(p.tree_pieces_removed, 0),
    coalesce(p.store_bytes_removed, 0)
FROM (SELECT) AS always LEFT JOIN ledger.pruning AS p ON true"""
_CONNECTIONS: Final = """SELECT coalesce(replace(state, ' ', '_'), 'other'), count(*)
FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1"""


@dataclass(frozen=True, slots=True)
class Measured:
    """`pieces` are nodes and leaves of the state tree; `pieces_stale` is an estimate."""

    connections: Mapping[str, int]
    """By state, one of CONNECTION_STATES."""
    database_bytes: int
    pieces_written: int
    pieces_stale: int
    history_floor: int
    partitions_removed: int
    pieces_removed: int
    store_bytes_removed: int


def measured(connection: Connection) -> Measured:
    """As it is now."""
    row = connection.execute(_SIZES).fetchone()
    assert row is not None
    connections = dict.fromkeys(CONNECTION_STATES, 0)
    for state, count in connection.execute(_CONNECTIONS):
        connections[state if state in connections else "other"] += int(count)
    return Measured(connections, *map(int, row))
