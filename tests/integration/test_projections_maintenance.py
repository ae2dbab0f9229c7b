"""Partitions of history: crossed within a flush, finished when closed, whoever does it and however often."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import psycopg
import pytest

from ledger.state import Effects
from projections.audit.fingerprint import fingerprint
from projections.database import Database
from projections.maintenance.migrate import migrate
from projections.maintenance.partitions import CLOSED_INDEXES
from tests import flush_effects as effects
from tests.flush_effects import ALICE, BOB, cursor_at, name
from tests.whole_objects import Whole

pytestmark = pytest.mark.postgres

HEIGHTS = 4


@pytest.fixture
def url(postgres_url: str) -> str:
    migrate(postgres_url, HEIGHTS)
    return postgres_url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url) as opened:
        opened.initialise(cursor_at(0))
        yield opened


def history(heights: range) -> Effects:
    """Blocks with one row of every kind of history each."""
    return replace(
        effects.nothing(),
        blocks=tuple(effects.block_row(height) for height in heights),
        transactions=tuple(effects.transaction_row(height) for height in heights),
        rejections=tuple(effects.rejection_row(height) for height in heights),
        transfers=np.concatenate([effects.transfers((height, 0, ALICE, BOB, height)) for height in heights]),
        object_versions=tuple(effects.written(height, _thing_of(height)) for height in heights),
        assets_inserted=(effects.coin(),) if heights.start == 1 else (),
    )


def _thing_of(height: int) -> Whole:
    return replace(effects.thing(), id=name(f"thing {height}"))


def _names(url: str, kind: str) -> set[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        query = "select relname from pg_class where relnamespace = 'ledger'::regnamespace and relkind = %s"
        return {str(row[0]) for row in connection.execute(query, [kind])}


def _secondary_indexes(url: str) -> set[str]:
    return {name for name in _names(url, "i") if "_00" in name and not name.endswith("_pkey")}


def _rows_in(url: str, table: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(f"select count(*) from ledger.{table}").fetchone()
        assert row is not None
        return int(row[0])


def test_one_flush_may_cross_several_partitions(database: Database, url: str) -> None:
    database.flush(history(range(1, 11)), 0, cursor_at(10))
    assert {"transfers_0000000000", "transfers_0000000001", "transfers_0000000002"} <= _names(url, "r")
    counts = [_rows_in(url, f"{table}_000000000{n}") for table in ("blocks", "object_versions") for n in range(3)]
    assert counts == [3, 4, 3, 3, 4, 3]


def test_only_closed_partitions_are_indexed_and_the_next_one_is_made_ahead(database: Database, url: str) -> None:
    database.flush(history(range(1, 11)), 0, cursor_at(10))
    assert _secondary_indexes(url) == set()
    assert database.maintain() > 0
    expected = {f"{table}_000000000{n}_{label}" for table, label, _ in CLOSED_INDEXES for n in range(2)}
    assert _secondary_indexes(url) == expected
    assert "blocks_0000000003" in _names(url, "r")
    assert "blocks_0000000004" not in _names(url, "r")


def test_the_partition_of_the_last_height_closes_with_the_next_one(database: Database, url: str) -> None:
    database.flush(history(range(1, HEIGHTS)), 0, cursor_at(HEIGHTS - 1))
    assert database.maintain() == 0
    database.flush(history(range(HEIGHTS, HEIGHTS + 1)), HEIGHTS - 1, cursor_at(HEIGHTS))
    assert database.maintain() == len({table for table, _, _ in CLOSED_INDEXES})


def test_maintenance_again_finds_nothing_to_do(database: Database, url: str) -> None:
    database.flush(history(range(1, 11)), 0, cursor_at(10))
    database.maintain()
    indexes, tables = _names(url, "i"), _names(url, "r")
    assert database.maintain() == 0
    assert (_names(url, "i"), _names(url, "r")) == (indexes, tables)


def test_maintenance_that_was_cut_short_is_finished_by_the_next(database: Database, url: str) -> None:
    database.flush(history(range(1, 11)), 0, cursor_at(10))
    database.maintain()
    complete = _secondary_indexes(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop index ledger.transfers_0000000000_sender, ledger.rejections_0000000001_digest")
    assert database.maintain() == 2
    assert _secondary_indexes(url) == complete


def test_a_second_maintainer_leaves_the_work_to_the_first(database: Database, url: str) -> None:
    database.flush(history(range(1, 11)), 0, cursor_at(10))
    with psycopg.connect(url) as first:
        first.execute("lock table ledger.transfers_0000000000 in share update exclusive mode")
        assert database.maintain() > 0
        assert not any(index.startswith("transfers_0000000000") for index in _secondary_indexes(url))
    assert database.maintain() == 1


def test_maintenance_changes_nothing_that_consensus_determines(database: Database, url: str) -> None:
    database.flush(history(range(1, 11)), 0, cursor_at(10))
    before = fingerprint(url)
    database.maintain()
    assert fingerprint(url) == before


def test_maintenance_of_an_empty_database_does_nothing(url: str) -> None:
    with Database(url) as database:
        assert database.maintain() == 0


def test_partitions_are_made_while_somebody_reads_the_history(database: Database, url: str) -> None:
    database.flush(history(range(1, 3)), 0, cursor_at(2))
    with psycopg.connect(url) as reader:
        reader.execute("select count(*) from api.transfers")
        database.flush(history(range(3, 11)), 2, cursor_at(10))
        database.maintain()
        row = reader.execute("select max(height) from api.blocks").fetchone()
    assert row == (10,)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            f"select * from api.transactions where digest = '{name('transaction 1 0').hex()}'",
            "transactions_%_digest",
        ),
        (f"select * from api.transactions where signer = '{ALICE.hex()}'", "transactions_%_signer"),
        (f"select * from api.rejections where digest = '{name('rejected 1 0').hex()}'", "rejections_%_digest"),
        (f"select * from api.transfers where sender = '{ALICE.hex()}'", "transfers_%_sender"),
        (f"select * from api.transfers where recipient = '{BOB.hex()}'", "transfers_%_recipient"),
        (f"select * from api.object_history where object = '{name('thing 1').hex()}'", "object_versions_%_object"),
        (f"select * from api.balances where address = '{ALICE.hex()}'", "balances_address_hex"),
        (f"select * from api.objects where object = '{effects.THING.hex()}'", "objects_id_hex"),
        ("select * from api.blocks where height = 3", "blocks_%_pkey"),
        ("select * from api.transfers where height = 3", "transfers_%_pkey"),
    ],
)
def test_filters_by_hex_text_use_the_indexes(database: Database, url: str, query: str, index: str) -> None:
    database.flush(history(range(1, 11)), 0, cursor_at(10))
    database.maintain()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set enable_seqscan = off")
        plan = "\n".join(str(row[0]) for row in connection.execute(f"explain {query}"))
    assert index.replace("%", "0000000000") in plan, plan
    assert "Index Cond" in plan
