"""Pruning removes what is superseded and what is old, and nothing that anybody needs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.pool import VerdictPool
from ledger.genesis import Genesis
from ledger.leaves import key_hash, value_hash
from projections.audit.fingerprint import compare, image
from projections.audit.state_leaves import state_leaves
from projections.database import Database
from projections.maintenance.migrate import migrate
from projections.maintenance.partitions import HISTORY, make_partitions
from projections.maintenance.pruning import Keep, Pruned, history_floor, oldest_height, prune_history
from projections.session.connect import Connection, connect
from tests.integration.test_checkpoints_in_database import HEIGHTS, chain, execute, pool, reachable
from tree.hashing import hash_of

pytestmark = pytest.mark.postgres
__all__ = ["chain", "pool"]
EVERYTHING = Keep()
SPAN = 10
"""The least number of heights that a partition may span."""


def pieces(connection: Connection) -> tuple[set[tuple[bytes, int]], set[tuple[bytes, int]]]:
    nodes = connection.execute("select path, version from ledger.tree_nodes").fetchall()
    leaves = connection.execute("select key_hash, version from ledger.tree_leaves").fetchall()
    return {(bytes(path), version) for path, version in nodes}, {(bytes(key), version) for key, version in leaves}


def count(connection: Connection, what: str) -> int:
    row = connection.execute(f"select count(*) from {what}").fetchone()
    assert row is not None
    return int(row[0])


def test_of_the_tree_exactly_the_newest_version_is_left_and_it_goes_on(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    url = new_database()
    execute(chain, url, pool, 3 * HEIGHTS, 100_000)
    with Database(url) as database, connect(url) as connection:
        before = count(connection, "ledger.tree_stale")
        assert database.prune(EVERYTHING, 3 * HEIGHTS) == Pruned(0, before)
        assert pieces(connection) == reachable(connection)
        assert count(connection, "ledger.tree_stale") == 0
        assert database.prune(EVERYTHING, 3 * HEIGHTS) == Pruned(0, 0)
        row = connection.execute("select tree_pieces_removed, tree_pieces_waiting, history_floor from api.pruning")
        assert row.fetchone() == (before, 0, 0)
    execute(chain, url, pool, 4 * HEIGHTS, 100_000)
    with Database(url) as database, connect(url) as connection, connection.transaction():
        leaves = sorted((key_hash(key), value_hash(value)) for key, value in state_leaves(connection, chain[0]))
        assert database.newest_checkpoints(1)[0].checkpoint.state_root == hash_of(leaves)


def test_of_the_tree_what_a_certified_version_needs_stays(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    url = new_database()
    execute(chain, url, pool, 2 * HEIGHTS, 100_000)
    with connect(url) as connection:
        certified = reachable(connection)
    execute(chain, url, pool, 4 * HEIGHTS, 100_000)
    with Database(url) as database, connect(url) as connection:
        assert database.prune(EVERYTHING, 2 * HEIGHTS).pieces > 0
        nodes, leaves = pieces(connection)
        assert certified[0] <= nodes
        assert certified[1] <= leaves
        assert reachable(connection)[0] <= nodes


@pytest.mark.parametrize(
    ("keep", "below", "floor"),
    [
        (Keep(), 24, 0),
        (Keep(heights=24), 24, 0),
        (Keep(heights=14), 24, SPAN - 1),
        (Keep(heights=1), 24, 2 * SPAN - 1),
        (Keep(heights=1), 12, SPAN - 1),
        (Keep(heights=1), 0, 0),
        (Keep(ms=40_000 * 10), 24, SPAN - 1),
        (Keep(heights=20, ms=40_000), 24, 2 * SPAN - 1),
        (Keep(bytes=1), 24, 2 * SPAN - 1),
        (Keep(bytes=1 << 40), 24, 0),
    ],
)
def test_history_goes_by_height_age_or_size_and_never_above_a_bound(
    chain: tuple[Genesis, Path, int],
    pool: VerdictPool,
    new_database: Callable[[], str],
    keep: Keep,
    below: int,
    floor: int,
) -> None:
    url = new_database()
    migrate(url, partition_heights=SPAN)
    execute(chain, url, pool, 24, 100_000)
    whole = image(url, above=floor)
    with Database(url) as database, connect(url) as connection:
        dropped = database.prune(keep, below).partitions
        assert dropped == (floor + 1) // SPAN * len(HISTORY)
        assert oldest_height(connection) == floor
        assert compare(image(url, above=floor).tables, whole.tables) == []
        if floor:
            assert connection.execute("select history_floor from api.pruning").fetchone() is not None
            assert count(connection, f"ledger.checkpoints where height <= {floor}") == 0
        assert database.prune(keep, below).partitions == 0


def test_execution_goes_on_after_history_was_dropped(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    one, other = new_database(), new_database()
    for url in (one, other):
        migrate(url, partition_heights=SPAN)
        execute(chain, url, pool, 21, 100_000)
    with Database(one) as database:
        assert database.prune(Keep(heights=2), 20).partitions
    for url in (one, other):
        execute(chain, url, pool, 24, 100_000)
    assert compare(image(one, above=19).tables, image(other, above=19).tables) == []


def test_newest_checkpoint_stays_however_old_it_is(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    url = new_database()
    migrate(url, partition_heights=SPAN)
    execute(chain, url, pool, 24, 100_000)
    with Database(url) as database, connect(url) as connection:
        connection.execute("delete from ledger.checkpoints where height > 5")
        assert database.prune(Keep(heights=1), 24).partitions
        assert [stored.checkpoint.height for stored in database.newest_checkpoints(9)] == [5]


def test_live_partition_stays_whatever_is_asked(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    url = new_database()
    migrate(url, partition_heights=SPAN)
    execute(chain, url, pool, 24, 100_000)
    with connect(url) as connection:
        assert history_floor(connection, Keep(heights=1)) == 2 * SPAN - 1
        assert history_floor(connection, Keep(bytes=1)) == 2 * SPAN - 1


def test_reader_of_old_history_is_not_waited_for_long(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    url = new_database()
    migrate(url, partition_heights=SPAN)
    execute(chain, url, pool, 24, 100_000)
    with connect(url) as reader, reader.transaction():
        reader.execute("select count(*) from ledger.blocks")
        with Database(url) as database:
            assert database.prune(Keep(heights=1), 24).partitions == 0
    with Database(url) as database:
        assert database.prune(Keep(heights=1), 24).partitions > 0


def rows_of(plan: dict[str, Any]) -> int:
    """How many rows went through all nodes of a plan that was executed, with those that were looked at in vain."""
    removed = sum(value for name, value in plan.items() if name.startswith("Rows Removed by"))
    below = sum(rows_of(each) for each in plan.get("Plans", ()))
    return int(plan["Actual Loops"] * (plan["Actual Rows"] + removed)) + below


@pytest.mark.parametrize("deleted", [False, True])
def test_contents_of_one_object_that_was_updated_often_are_removed_in_linear_work(
    new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch, deleted: bool
) -> None:
    url, updates = new_database(), 1_000
    migrate(url, partition_heights=SPAN)
    work: list[int] = []
    with connect(url) as connection:
        make_partitions(connection, (0, 1), SPAN)
        connection.execute(
            "insert into ledger.object_versions select 1 + n / 200, n, 0, '\\x01', n, 0, '\\x02', n, %s and n = %s"
            " from generate_series(1, %s) as n",
            [deleted, updates, updates],
        )
        kept = updates if not deleted else updates - 1  # the last version of a deleted object has no content of its own
        connection.execute(
            "insert into ledger.object_contents select '\\x01', n, 'm', '\\x03' from generate_series(1, %s) as n",
            [kept],
        )
        execute_plainly = connection.execute

        def counted(query: Any, *rest: Any, **options: Any) -> Any:
            if not str(query).startswith("DELETE FROM ledger.object_contents"):
                return execute_plainly(query, *rest, **options)
            explained = execute_plainly(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}", *rest, **options)
            work.append(rows_of(explained.fetchone()[0][0]["Plan"]))  # type: ignore[index]
            return explained

        monkeypatch.setattr(connection, "execute", counted)
        assert prune_history(connection, SPAN - 1)
        left = [version for (version,) in execute_plainly("select version from ledger.object_contents")]
    assert left == ([] if deleted else [updates])
    assert work, "contents were not removed"
    assert sum(work) < 10 * updates
