"""Checkpoints that executors write: their root is that of all the state, however it came about."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ingest.pool import VerdictPool
from ledger.checkpoint import checkpoint_digest, encode_checkpoint
from ledger.genesis import Genesis, parse_genesis
from ledger.header import Epoch
from ledger.leaves import key_hash, value_hash
from node.execution.pipeline import PipelineLimits
from node.execution.session import LogIdentity, Session
from projections.audit.state_leaves import state_leaves
from projections.database import CursorMoved, Database, StateDiffers
from projections.flush import tree
from projections.flush.checkpoints import write_checkpoint
from projections.flush.node_cache import NodeCache
from projections.flush.tree import read_nodes, root_of
from projections.maintenance.migrate import migrate
from projections.session.connect import Connection, connect
from tests.builders import genesis_bytes
from tests.chain_builder import even_cuts, write_store
from tests.flush_effects import cursor_at, nothing
from tests.random_ledger import RandomLedger
from tree.hashing import hash_of
from tree.loading import is_node
from tree.nodes import NodeKey, decode_node
from tree.update import update_in_parts

pytestmark = pytest.mark.postgres

BLOCKS = 24
HEIGHTS = 5
DRAWN = 250


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Genesis, Path, int]:
    """A chain with a checkpoint every five heights whose blocks lie so far apart that buckets expire on the way."""
    genesis = parse_genesis(genesis_bytes(partitions=1, checkpoint_heights=HEIGHTS, checkpoint_time_ms=10**9))
    source = RandomLedger(genesis, seed=5)
    values: list[bytes | None] = [*source.opening(), *(source.draw() for _ in range(DRAWN))]
    store = tmp_path_factory.mktemp("chain") / "store"
    height = write_store(store, genesis, [values], even_cuts([len(values)], BLOCKS), step_ms=40_000)
    return genesis, store, height


@pytest.fixture
def pool(chain: tuple[Genesis, Path, int]) -> Iterator[VerdictPool]:
    with closing(VerdictPool(1, chain[0].digest, chain[0].limits)) as made:
        yield made


def execute(chain: tuple[Genesis, Path, int], url: str, pool: VerdictPool, until: int, flush_records: int) -> None:
    genesis, store, _ = chain
    migrate(url)
    limits = PipelineLimits(job_records_max=max(1, flush_records // 2), flush_records_max=flush_records)
    session = Session(genesis, LogIdentity("cluster", "topic-id"), store, url, limits)
    session.run(pool, lambda cursor, checkpoints: None, lambda: False, until)


def reachable(connection: Connection) -> tuple[set[tuple[bytes, int]], set[tuple[bytes, int]]]:
    """(nodes, leaves) of the newest version."""
    nodes, found = set(), set()
    todo = [(b"", root_of(connection))]
    while todo:
        path, child = todo.pop()
        if is_node(child):
            nodes.add((path, child.version))
            key = NodeKey(path, child.version)
            below = decode_node(read_nodes(connection, [key])[key])
            todo += [(path + bytes((number,)), one) for number, one in enumerate(below)]
        elif child is not None and child.key_hash is not None:
            found.add((child.key_hash, child.version))
    return nodes, found


def test_the_state_root_is_that_of_every_row_of_the_state(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    genesis, _, _ = chain
    roots = set()
    url = new_database()
    for until in (5, 10, 20):
        execute(chain, url, pool, until, 100_000)
        with connect(url) as connection, connection.transaction():
            leaves = sorted((key_hash(key), value_hash(value)) for key, value in state_leaves(connection, genesis))
            with Database(url) as database:
                stored = database.newest_checkpoints(1)[-1]
            assert stored is not None
            assert stored.checkpoint.height == until
            assert stored.checkpoint.state_root == hash_of(leaves)
            roots.add(stored.checkpoint.state_root)
    assert len(roots) == 3


def test_checkpoints_name_their_blocks_and_each_the_one_before(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    genesis, _, height = chain
    url = new_database()
    execute(chain, url, pool, height, 40)
    with Database(url) as database:
        stored = database.newest_checkpoints(100)
    assert [one.checkpoint.height for one in stored] == [1, *range(HEIGHTS, height + 1, HEIGHTS)], (
        "the first block is one by time"
    )
    before = genesis.digest
    for one in stored:
        assert one.checkpoint.previous == before
        assert one.digest == (before := checkpoint_digest(genesis, encode_checkpoint(one.checkpoint)))
    with connect(url) as connection:
        blocks = connection.execute(
            "select c.height from ledger.checkpoints c join ledger.blocks b using (height, time_ms, heads, epoch)"
            " where c.block_digest = b.digest"
        ).fetchall()
    assert len(blocks) == len(stored)


def test_what_is_kept_of_the_tree_is_its_newest_version_and_what_is_marked_stale(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    url = new_database()
    execute(chain, url, pool, 20, 70)
    with connect(url) as connection:
        nodes, leaves = reachable(connection)
        stale = set(connection.execute("select is_leaf, key, version from ledger.tree_stale").fetchall())
        kept = set(connection.execute("select path, version from ledger.tree_nodes").fetchall())
        values = set(connection.execute("select key_hash, version from ledger.tree_leaves").fetchall())
        changed = [
            connection.execute(f"select count(*) from ledger.{table}").fetchone()
            for table in ("changed_balances", "changed_keys")
        ]
    assert kept - nodes == {(key, version) for is_leaf, key, version in stale if not is_leaf}
    assert values - leaves == {(key, version) for is_leaf, key, version in stale if is_leaf}
    assert nodes <= kept
    assert leaves <= values
    assert changed == [(0,), (0,)]


def test_a_tree_that_lost_a_node_stops_execution(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    url = new_database()
    execute(chain, url, pool, 5, 1000)
    with connect(url) as connection:
        connection.execute(r"delete from ledger.tree_nodes where path = ''")
    with pytest.raises(StateDiffers, match="missing"):
        execute(chain, url, pool, 10, 1000)
    with Database(url) as database:
        cursor = database.cursor()
    assert cursor is not None
    assert cursor.height < 10
    assert gc.isenabled()


def test_after_a_flush_that_was_undone_no_remembered_node_is_believed(
    chain: tuple[Genesis, Path, int], pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    url = new_database()
    execute(chain, url, pool, 5, 1000)
    never_committed = NodeKey(b"", 6)
    with Database(url) as database:
        cursor = database.cursor()
        assert cursor is not None
        database._tree_nodes.keep({never_committed: b"node"})
        with pytest.raises(CursorMoved):
            database.flush(nothing(), 4, replace(cursor, height=6))
        assert database._tree_nodes.get(never_committed) is None


def test_a_checkpoint_holds_little_more_than_a_hash_for_each_of_many_changes(
    chain: tuple[Genesis, Path, int], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changes between two checkpoints has no bound but the log's; so much as a leaf of each must not be held."""
    genesis, few, many = chain[0], 2_000, 14_000
    monkeypatch.setattr(tree, "update_in_parts", partial(update_in_parts, part_max=500))
    migrate(postgres_url)
    peaks: list[int] = []
    with connect(postgres_url) as connection:
        for height, count in ((1, few), (2, many)):
            connection.execute(
                "with made as (insert into ledger.balances select sha256('asset'), sha256(int8send(%s * 100000 + n)), n"
                " from generate_series(1, %s) as n returning asset, address)"
                " insert into ledger.changed_balances select * from made",
                [height, count],
            )
            tracemalloc.start()
            with connection.transaction():
                written = write_checkpoint(connection, genesis, Epoch(0), cursor_at(height), NodeCache(0))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert written.checkpoint.state_root == root_of_all(connection, genesis)
    assert (peaks[1] - peaks[0]) / (many - few) < 160, peaks


def root_of_all(connection: Connection, genesis: Genesis) -> bytes:
    with connection.transaction():
        return hash_of(sorted((key_hash(key), value_hash(value)) for key, value in state_leaves(connection, genesis)))
