"""Whoever holds a lock that ours wait for is named: sessions, those behind them, and prepared transactions."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from node.embedded.postgres import EmbeddedPostgres
from node.wiring.databases import create_database, drop_database
from projections.database import DatabaseUnavailable
from projections.maintenance import migrate as migrating
from projections.maintenance.lock_holders import lock_waits
from projections.maintenance.migrate import downgrade, migrate, newest_revision
from projections.maintenance.readers import bound_readers
from projections.session.connect import connect
from tests.patience import WAIT_S

pytestmark = pytest.mark.postgres

HELD = "prepared transaction 'transfer-7' of postgres since "
REMEDY = " UTC, which COMMIT PREPARED or ROLLBACK PREPARED ends"
OTHER = "somebody's"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a Postgres that lets transactions be prepared, which takes a setting and a start."""
    with (
        TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder) / "pg") as server,
    ):
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("alter system set max_prepared_transactions = 8")
        server.stop()
        server.start()
        yield server.url()


@pytest.fixture(scope="module")
def url(server: str) -> str:
    create_database(server, "ledger")
    url = urlsplit(server)._replace(path="/ledger").geturl()
    migrate(url)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("create table public.rows as select generate_series(1, 9) as row")
    return url


@contextmanager
def prepared(url: str, *statements: str, name: str = "transfer-7") -> Iterator[None]:
    """A prepared transaction that has done this, and that no session holds any more."""
    gid = psycopg.sql.Literal(name)
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("begin")
        for statement in statements:
            session.execute(statement.encode())
        session.execute(psycopg.sql.SQL("prepare transaction {}").format(gid))
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(psycopg.sql.SQL("rollback prepared {}").format(gid))


def told(url: str, statement: str) -> list[str]:
    """What is said of a session of ours that waits at a statement; one that locks a table needs a transaction."""
    with connect(url) as ours, connect(url) as watch, ThreadPoolExecutor(1) as thread:
        if statement.startswith("lock"):
            ours.execute("begin")
        waiting = thread.submit(ours.execute, statement.encode())
        try:
            deadline = time.monotonic() + WAIT_S
            while not (found := lock_waits(watch, longer_s=0)):
                assert not waiting.done(), waiting.exception()
                assert time.monotonic() < deadline
            return found
        finally:
            ours.cancel()
            waiting.exception()


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ("lock table ledger.cursor in exclusive mode", "update ledger.cursor set height = height"),
        ("lock table ledger.cursor in access share mode", "lock table ledger.cursor in access exclusive mode"),
        ("lock table ledger.cursor in share mode", "lock table ledger.cursor in share update exclusive mode"),
        ("update public.rows set row = 0 where row = 5", "update public.rows set row = 1 where row = 5"),
        ("select from public.rows where row = 6 for share", "delete from public.rows where row = 6"),
        ("select pg_advisory_xact_lock(7)", "select pg_advisory_lock(7)"),
        ("update public.rows set row = 0 where row = 7", "create index concurrently on public.rows (row)"),
    ],
)
def test_a_prepared_transaction_that_holds_a_lock_is_named_with_what_ends_it(url: str, held: str, wanted: str) -> None:
    with prepared(url, held):
        (words,) = told(url, wanted)
    assert words.startswith(f"momus waits for a lock held by {HELD}")
    assert words.endswith(REMEDY)


@pytest.mark.parametrize(
    ("harmless", "held", "wanted"),
    [
        ("access share", "exclusive", "row exclusive"),
        ("row share", "share row exclusive", "share row exclusive"),
        ("row share", "row exclusive", "share"),
    ],
)
def test_one_whose_locks_do_not_conflict_is_not_named(url: str, harmless: str, held: str, wanted: str) -> None:
    """Whoever reads of it may end it, and it may be somebody's money."""
    lock = "lock table ledger.cursor in {} mode"
    with prepared(url, lock.format(harmless), name=OTHER), prepared(url, lock.format(held)):
        words = told(url, lock.format(wanted))
    assert [OTHER in each for each in words] == [False]


def test_whoever_waits_in_front_of_ours_is_told_with_the_one_that_all_wait_for(url: str) -> None:
    wanted = "lock table ledger.cursor in access exclusive mode"
    with (
        prepared(url, "select count(*) from ledger.cursor"),
        psycopg.connect(url, application_name="a change", autocommit=True) as other,
        ThreadPoolExecutor(1) as thread,
    ):
        in_front = thread.submit(other.execute, f"begin; {wanted}")
        pid = other.info.backend_pid
        until_it_waits(url, pid)
        words = told(url, "select count(*) from ledger.cursor")
        other.cancel()
        assert isinstance(in_front.exception(), psycopg.errors.QueryCanceled)
    assert words[0].startswith(f"momus waits for a lock held by pid {pid} of postgres (a change), active for ")
    assert words[1].startswith(f"a change waits for a lock held by {HELD}")
    assert len(words) == 2


def test_a_prepared_transaction_is_named_after_a_restart_of_the_server(server: str, url: str) -> None:
    with prepared(url, "lock table ledger.cursor in exclusive mode"):
        embedded = EmbeddedPostgres(Path(parse_qs(urlsplit(server).query)["host"][0]))
        embedded.stop()
        embedded.start()
        (words,) = told(url, "lock table ledger.cursor in exclusive mode")
    assert words.startswith(f"momus waits for a lock held by {HELD}")


def test_a_session_of_somebody_else_is_named_by_a_role_that_may_not_know_its_state(server: str, url: str) -> None:
    role = "plain_one"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"create role {role} login")
        admin.execute(f"grant connect on database ledger to {role}")
        admin.execute(f"grant select, update on public.rows to {role}")
    parts = urlsplit(url)
    plain = parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl()
    with psycopg.connect(url, application_name="a report") as other:
        other.execute("update public.rows set row = 0 where row = 9")
        words = told(plain, "update public.rows set row = 1 where row = 9")
        pid = other.info.backend_pid
        other.rollback()
    assert words == [f"momus waits for a lock held by pid {pid} of postgres (a report)"]


def test_a_migration_that_a_prepared_transaction_is_in_the_way_of_names_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "TRIES", 1)
    with (
        prepared(url, "select count(*) from ledger.objects", "select count(*) from api.objects"),
        pytest.raises(DatabaseUnavailable, match=f"The tables cannot be brought up to date.* {HELD}.*{REMEDY}"),
    ):
        downgrade(url)
    with psycopg.connect(url) as connection:
        assert connection.execute("select version_num from ledger.alembic_version").fetchall() == [(newest_revision(),)]


def test_a_migration_whose_turn_does_not_come_names_who_has_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "TRIES", 1)
    turn = "lock table ledger.alembic_version in row exclusive mode"
    with prepared(url, turn):
        with pytest.raises(DatabaseUnavailable, match=f"{HELD}.*{REMEDY}"):
            downgrade(url)
        # Every start looks at what readers may.
        (told_at_start,) = migrate(url)
        assert HELD in told_at_start
    with connect(url) as connection:
        assert bound_readers(connection) == ()


def test_a_database_with_a_prepared_transaction_is_not_dropped_and_that_is_named(server: str, url: str) -> None:
    create_database(server, "scratch")
    with (
        prepared(urlsplit(url)._replace(path="/scratch").geturl(), "create table rows ()"),
        pytest.raises(DatabaseUnavailable, match=f"Database scratch cannot be dropped, .* {HELD}.*{REMEDY}"),
    ):
        drop_database(server, "scratch")
    drop_database(server, "scratch")


def until_it_waits(url: str, pid: int) -> None:
    deadline = time.monotonic() + WAIT_S
    with psycopg.connect(url, autocommit=True) as watch:
        while watch.execute("select cardinality(pg_blocking_pids(%s))", [pid]).fetchone() == (0,):
            assert time.monotonic() < deadline
