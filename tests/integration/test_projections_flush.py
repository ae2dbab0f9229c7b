"""Flushes and prefetches on a real Postgres: all of it or nothing, and only by the owner of the cursor."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from ledger.commands import Ownership
from ledger.rejection import Reason
from ledger.state import ObjectContent, Wanted
from projections.audit.fingerprint import compare, fingerprint
from projections.database import CHANNEL, CursorMoved, Database, DatabaseUnavailable, DatabaseUnusable, StateDiffers
from projections.lookup import Executed, Rejected, transaction_fate
from projections.maintenance.migrate import migrate
from projections.rows.object_rows import parts_of
from projections.session.connect import connect
from tests import flush_effects as effects
from tests.flush_effects import ALICE, BOB, CAROL, COIN, THING, TRAILING_ZEROS, cursor_at, name
from tests.patience import WAIT_S
from tests.whole_objects import Whole, made

pytestmark = pytest.mark.postgres


@pytest.fixture
def url(postgres_url: str) -> str:
    migrate(postgres_url)
    return postgres_url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url) as opened:
        opened.initialise(cursor_at(0))
        yield opened


def _everything() -> Wanted:
    return Wanted(
        {COIN: (ALICE, BOB, CAROL, TRAILING_ZEROS), name("other"): (ALICE,)},
        (COIN, name("other")),
        (THING, name("no object")),
        (),
        ((100, name("transaction 1 0")), (101, name("transaction 1 1")), (102, name("transaction 1 1"))),
        (99, 100, 101),
    )


def test_an_empty_database_has_no_cursor_and_takes_one_first_cursor(url: str) -> None:
    with Database(url) as database:
        assert database.cursor() is None
        database.initialise(cursor_at(0))
        assert database.cursor() == cursor_at(0)
        with pytest.raises(CursorMoved):
            database.initialise(cursor_at(5))
        assert database.cursor() == cursor_at(0)


def test_what_was_flushed_is_what_is_prefetched(database: Database) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    found = database.prefetch(_everything())
    assert found.balances == {COIN: {ALICE: 600, TRAILING_ZEROS: 400}}
    assert found.assets == {COIN: effects.coin()}
    assert found.objects == {THING: effects.thing().narrow}
    assert found.digests == {name("transaction 1 0"), name("transaction 1 1")}
    assert found.buckets == {100: (1, name("hash 100")), 101: (1, name("hash 101"))}
    assert database.cursor() == cursor_at(1)


def test_a_second_flush_updates_deletes_and_forgets(database: Database) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    database.flush(effects.second(), 1, cursor_at(2))
    found = database.prefetch(_everything())
    assert found.balances == {COIN: {BOB: 600, TRAILING_ZEROS: 300}}
    assert found.assets[COIN].supply == 900
    assert found.objects == {}
    assert found.digests == {name("transaction 1 1")}
    assert found.buckets == {101: (2, name("hash 101 again"))}


def test_nothing_wanted_is_nothing_found(database: Database) -> None:
    found = database.prefetch(Wanted({}, (), (), (), (), ()))
    assert (found.balances, found.assets, found.objects, found.digests, found.buckets) == ({}, {}, {}, frozenset(), {})


def test_objects_of_every_ownership_come_back_as_they_were(database: Database) -> None:
    kinds = (
        Whole(name("o1"), 1, Ownership.ADDRESS, ALICE, (), "t", "m", b"\x00\xff"),
        Whole(name("o2"), 2**40, Ownership.SHARED, b"", (ALICE, BOB), "quote ' \" \\ % :x", "a/b", b""),
        Whole(name("o3"), 3, Ownership.IMMUTABLE, b"", (), "~", " ", bytes(65_536)),
    )
    database.flush(made(effects.nothing(), *kinds), 0, cursor_at(1))
    ids = tuple(item.id for item in kinds)
    pairs = tuple(key + who for key in ids for who in (ALICE, BOB, CAROL))
    wanted = Wanted({}, (), ids, pairs, (), ())
    found = database.prefetch(wanted)
    assert found.objects == {item.id: item.narrow for item in kinds}
    assert found.writers == {name("o2") + ALICE, name("o2") + BOB}
    changed = tuple(replace(item, version=item.version + 1, content=b"new").narrow for item in kinds)
    contents = tuple(ObjectContent(item.id, item.version, "m", b"new") for item in changed)
    database.flush(replace(effects.nothing(), objects_updated=changed, object_contents=contents), 1, cursor_at(2))
    assert database.prefetch(wanted).objects == {item.id: item for item in changed}


@pytest.mark.parametrize(("count", "content_bytes"), [(12_000, 8), (5, 3 << 20), (2, 20 << 20)])
def test_objects_are_updated_however_many_and_large_they_are(
    database: Database, url: str, count: int, content_bytes: int
) -> None:
    first = tuple(Whole(name(f"o{number}"), 1, Ownership.ADDRESS, ALICE, (), "t", "m", b"") for number in range(count))
    database.flush(made(effects.nothing(), *first), 0, cursor_at(1))
    changed = tuple(
        replace(item, version=2, content=number.to_bytes(content_bytes)) for number, item in enumerate(first)
    )
    rows = tuple(item.narrow for item in changed)
    contents = tuple(item.set_content for item in changed)
    database.flush(replace(effects.nothing(), objects_updated=rows, object_contents=contents), 1, cursor_at(2))
    wanted = Wanted({}, (), tuple(item.id for item in first), (), (), ())
    assert database.prefetch(wanted).objects == {item.id: item.narrow for item in changed}
    with connect(url) as connection:
        parts = parts_of(connection, [item.narrow for item in changed[:3]])
    assert parts == {item.id: item.parts for item in changed[:3]}


def test_an_object_that_is_not_there_cannot_be_updated(database: Database) -> None:
    with pytest.raises(StateDiffers, match=r"1 rows were to change, 0 did: UPDATE ledger\.objects"):
        database.flush(replace(effects.nothing(), objects_updated=(effects.thing(2).narrow,)), 0, cursor_at(1))


@pytest.mark.parametrize("title", ["it's", '"; drop table ledger.assets; --', "Kč €", "\\N", "%s", "{}", "名"])
def test_an_asset_may_have_any_name(database: Database, title: str) -> None:
    asset = effects.coin(title=title)
    database.flush(replace(effects.nothing(), assets_inserted=(asset,)), 0, cursor_at(1))
    assert database.prefetch(Wanted({}, (COIN,), (), (), (), ())).assets == {COIN: asset}


def test_the_grouping_of_flushes_changes_no_row(new_database: Callable[[], str]) -> None:
    one, other = new_database(), new_database()
    for url in (one, other):
        migrate(url)
    with Database(one) as database:
        database.initialise(cursor_at(0))
        database.flush(effects.first(), 0, cursor_at(1))
        database.flush(effects.second(), 1, cursor_at(2))
    with Database(other) as database:
        database.initialise(cursor_at(0))
        database.flush(effects.joined(effects.first(), effects.second()), 0, cursor_at(2))
    assert compare(fingerprint(one), fingerprint(other)) == []


def test_of_two_executors_one_loses_the_cursor_and_changes_nothing(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    before = fingerprint(url)
    with Database(url) as rival, pytest.raises(CursorMoved):
        rival.flush(effects.first(), 0, cursor_at(1))
    assert fingerprint(url) == before
    database.flush(effects.second(), 1, cursor_at(2))


def test_a_row_that_was_changed_by_hand_stops_the_flush_with_a_remedy(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("delete from ledger.balances where amount = 400")
    before = fingerprint(url)
    with pytest.raises(StateDiffers, match="1 rows were to change, 0 did"):
        database.flush(effects.second(), 1, cursor_at(2))
    assert fingerprint(url) == before


def test_a_row_that_is_there_already_is_no_reason_to_try_again(database: Database) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    with pytest.raises(DatabaseUnusable):
        database.flush(effects.first(), 1, cursor_at(2))
    assert database.cursor() == cursor_at(1)


def test_a_killed_backend_leaves_nothing_and_the_next_call_connects_anew(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    before = fingerprint(url)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(_KILL_ALL)
    with pytest.raises(DatabaseUnavailable):
        database.flush(effects.second(), 1, cursor_at(2))
    assert fingerprint(url) == before
    database.flush(effects.second(), 1, cursor_at(2))
    assert database.cursor() == cursor_at(2)


def test_a_backend_killed_in_the_middle_of_a_flush_changes_nothing(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    before = fingerprint(url)
    with (
        closing(psycopg.connect(url)) as blocker,
        closing(psycopg.connect(url, autocommit=True)) as admin,
        ThreadPoolExecutor(1) as thread,
    ):
        blocker.execute("lock table ledger.expiry_buckets in exclusive mode")
        flush = thread.submit(database.flush, effects.second(), 1, cursor_at(2))
        while not admin.execute(_KILL_WAITING).fetchall():
            assert not flush.done()
        with pytest.raises(DatabaseUnavailable):
            flush.result(WAIT_S)
    assert fingerprint(url) == before
    database.flush(effects.second(), 1, cursor_at(2))


_KILL_ALL = """select pg_terminate_backend(pid) from pg_stat_activity
where application_name = 'momus' and datname = current_database()"""
_KILL_WAITING = """select pg_terminate_backend(pid) from pg_stat_activity
where application_name = 'momus' and wait_event_type = 'Lock' and datname = current_database()"""


def test_partitions_of_an_undone_flush_are_made_again(database: Database, url: str) -> None:
    broken = replace(effects.first(), balances_updated=effects.balances((CAROL, 5)))
    with pytest.raises(StateDiffers):
        database.flush(broken, 0, cursor_at(1))
    database.flush(effects.first(), 0, cursor_at(1))
    assert database.cursor() == cursor_at(1)


def test_a_flush_notifies_with_its_height(database: Database, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute(f"listen {CHANNEL}")
        database.flush(effects.first(), 0, cursor_at(1))
        assert [note.payload for note in listener.notifies(timeout=WAIT_S, stop_after=1)] == ["1"]


def test_a_database_that_is_not_there_is_unavailable(postgres: str) -> None:
    missing = postgres.replace("/postgres?", "/no_such_database?")
    with pytest.raises(DatabaseUnavailable):
        Database(missing)


def test_a_database_without_tables_is_unusable_and_says_what_helps(postgres_url: str) -> None:
    with Database(postgres_url) as database, pytest.raises(DatabaseUnusable, match="schema is missing"):
        database.cursor()


def test_a_commit_is_durable_whatever_the_default_of_the_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f'alter database "{admin.info.dbname}" set synchronous_commit = off')
    with Database(url) as database, database._connected() as connection:
        assert connection.execute("show synchronous_commit").fetchone() == ("on",)


def test_the_fate_of_a_transaction(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    with database._connected() as connection:
        assert transaction_fate(connection, name("transaction 1 0")) == Executed(1, 0, 0, 10, 0)
        assert transaction_fate(connection, name("rejected 1 0")) == Rejected(1, Reason.INSUFFICIENT_BALANCE)
        assert transaction_fate(connection, name("never seen")) is None
    kept = replace(effects.second(), remembered=((101, name("past rejections_max"), 2, 1),))
    database.flush(kept, 1, cursor_at(2))
    with database._connected() as connection:
        assert transaction_fate(connection, name("transaction 1 0")) == Executed(1, 0, 0, 10, 0)
        assert transaction_fate(connection, name("past rejections_max")) == Rejected(2, None)
