"""Fingerprints: equal where consensus has spoken, different where a single row is."""

from collections.abc import Callable

import psycopg
import pytest

from projections.audit.fingerprint import ORDER, compare, fingerprint
from projections.database import Database, DatabaseUnavailable
from projections.maintenance.migrate import migrate
from tests import flush_effects as effects
from tests.flush_effects import cursor_at

pytestmark = pytest.mark.postgres

BESIDE = {
    "layout",
    "live_index",
    "live_slices",
    "progress",
    "alembic_version",
    "certificates",
    "drills",
    "admin_actions",
    "pruning",
    "restoring",
    "restored_parts",
}
"""Tables that consensus does not determine."""
TREE = {"changed_balances", "changed_keys", "tree_nodes", "tree_leaves", "tree_stale", "tree_root"}
"""Tables that follow from the state: the checkpoints' state roots are compared in their place."""


def _filled(url: str, partition_heights: int | None = None) -> str:
    migrate(url, partition_heights)
    with Database(url) as database:
        database.initialise(cursor_at(0))
        database.flush(effects.first(), 0, cursor_at(1))
    return url


def test_every_table_is_covered_or_named_as_an_exception(postgres_url: str) -> None:
    _filled(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        query = """select relname from pg_class where relnamespace = 'ledger'::regnamespace
            and relkind in ('r', 'p') and not relispartition"""
        tables = {str(row[0]) for row in connection.execute(query)}
    assert tables == set(ORDER) | BESIDE | TREE


def test_databases_cut_indexed_and_watched_differently_are_equal(new_database: Callable[[], str]) -> None:
    one, other = _filled(new_database()), _filled(new_database(), 1)
    with Database(other) as database:
        database.maintain()
        database.tell_final(99)
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute("update ledger.cursor set cluster_id = 'another', topic_id = 'another'")
        connection.execute(f'alter database "{connection.info.dbname}" set bytea_output = escape')
        connection.execute(f"alter database \"{connection.info.dbname}\" set timezone = 'Asia/Tokyo'")
    mine, theirs = fingerprint(one), fingerprint(other)
    assert compare(mine, theirs) == []
    assert mine == theirs
    assert mine["transfers"].rows == 2


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "update ledger.balances set amount = amount + 1",
            "Table balances has 2 rows on both sides, but not the same.",
        ),
        ("update ledger.cursor set height = 0", "Table cursor has 1 rows on both sides, but not the same."),
        ("delete from ledger.transfers where index = 1", "Table transfers has 2 rows here and 1 there."),
        ("delete from ledger.remembered", "Table remembered has 2 rows here and 0 there."),
        (
            "update ledger.object_contents set content = ''",
            "Table object_contents has 1 rows on both sides, but not the same.",
        ),
        ("update ledger.rejections set reason = 1", "Table rejections has 1 rows on both sides, but not the same."),
    ],
)
def test_a_single_difference_is_told(new_database: Callable[[], str], statement: str, sentence: str) -> None:
    one, other = _filled(new_database()), _filled(new_database())
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute(statement.encode())
    assert compare(fingerprint(one), fingerprint(other)) == [sentence]


def test_a_server_that_is_gone_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        fingerprint("postgresql://nobody@127.0.0.1:1/none")
