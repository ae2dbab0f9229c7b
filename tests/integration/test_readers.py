"""What somebody who may read the ledger by SQL can do to the node: nothing."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors

from ledger.genesis import Genesis, parse_genesis
from projections.audit import rows as audit_rows
from projections.database import Database
from projections.maintenance import pruning
from projections.maintenance.migrate import downgrade, migrate
from projections.maintenance.pruning import Keep
from projections.proven_rows import one_view
from projections.session.connect import connect
from projections.snapshots.exporting import ExportedView
from tests import flush_effects as effects
from tests.builders import genesis_bytes
from tests.flush_effects import cursor_at
from tests.integration.test_projections_maintenance import HEIGHTS, history

pytestmark = [pytest.mark.postgres]

UNBOUND = "set default_transaction_read_only = off; set statement_timeout = 0; set work_mem = '64kB'"
REFUSED = (
    "select pg_advisory_lock(1)",
    f"select pg_advisory_lock({0x6D6F6D7573})",
    "select pg_advisory_lock_shared(1, 2)",
    "select pg_try_advisory_lock(1)",
    "select pg_advisory_xact_lock(1)",
    "select pg_try_advisory_xact_lock_shared(1)",
    "create temporary table mine (x int)",
    "create table public.mine (x int)",
    "create table api.mine (x int)",
    "create schema mine",
    "select lo_create(0)",
    "select lo_creat(-1)",
    "select lo_from_bytea(0, 'x')",
    "select lo_import('/etc/passwd')",
    "select pg_logical_emit_message(false, 'x', repeat('x', 1000))",
    "select pg_terminate_backend(0)",
    "select pg_cancel_backend(0)",
    "select pg_current_xact_id()",
    "select txid_current()",
    "select * from ledger.balances",
    "begin; lock table ledger.cursor in access share mode",
    "begin; lock table ledger.alembic_version in access share mode",
    "begin; lock table api.blocks in share mode",
    "select * from api.blocks for update",
    "set temp_file_limit = -1",
    "set session_replication_role = replica",
    "set role postgres",
    "set session authorization postgres",
    "alter role momus_reader connection limit -1",
    "alter role momus_reader superuser",
    "alter role momus_reader set temp_file_limit = -1",
    "alter role momus_reader reset temp_file_limit",
    "alter system set work_mem = '1GB'",
    "create role mine",
    "create database mine",
    "copy api.blocks to '/tmp/blocks'",
    "copy api.blocks to program 'cat'",
    "select pg_read_file('PG_VERSION')",
    "select pg_reload_conf()",
    "vacuum ledger.balances",
)
OWN = (
    "alter role momus_reader set search_path = nowhere",
    "alter role momus_reader set statement_timeout = 0",
    "alter role momus_reader set default_transaction_read_only = off",
    "alter role momus_reader set local_preload_libraries = nowhere",
    "alter role momus_reader set role = nobody",
    "alter role momus_reader reset all",
    "alter role momus_reader in database {database} set statement_timeout = 0",
)


@pytest.fixture
def genesis() -> Genesis:
    return parse_genesis(genesis_bytes(partitions=1, checkpoint_heights=1))


@pytest.fixture
def url(postgres_url: str) -> str:
    migrate(postgres_url, HEIGHTS)
    return postgres_url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database(url) as opened:
        opened.initialise(cursor_at(0))
        yield opened


@contextmanager
def reading(url: str) -> Iterator[psycopg.Connection]:
    """Somebody who has logged in as a reader, and has let go of all that he may."""
    with psycopg.connect(url, autocommit=True, user="momus_reader") as reader:
        reader.execute(UNBOUND)
        yield reader


def hold_everything(reader: psycopg.Connection) -> None:
    """Begin a transaction that has read every view, and stay in it."""
    names = reader.execute("select viewname from pg_views where schemaname = 'api'").fetchall()
    reader.execute("begin isolation level repeatable read")
    for (name,) in names:
        reader.execute(f"select count(*) from api.{name}")


def test_what_a_reader_is_not_to_do_is_refused(url: str) -> None:
    with reading(url) as reader:
        assert [statement for statement in REFUSED if not _is_refused(reader, statement)] == []


def _is_refused(reader: psycopg.Connection, statement: str) -> bool:
    try:
        reader.execute(statement.encode())
    except (errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState):
        return True
    finally:
        reader.execute("rollback; reset role; reset session authorization")
    return False


def test_readers_take_a_part_of_the_connections_and_leave_the_rest(database: Database, url: str) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(reading(url))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            stack.enter_context(reading(url))
        database.flush(effects.first(), 0, cursor_at(1))
        migrate(url)


def test_what_a_reader_makes_of_its_own_role_is_undone_at_the_next_start(database: Database, url: str) -> None:
    before = _defaults(url)
    for statement in OWN:
        with psycopg.connect(
            url, autocommit=True, user="momus_reader", options="-c default_transaction_read_only=off"
        ) as reader:
            reader.execute(statement.format(database=f'"{urlsplit(url).path[1:]}"').encode())
        assert _defaults(url) != before
        assert (statement, migrate(url), _defaults(url)) == (statement, (), before)
    database.flush(effects.first(), 0, cursor_at(1))
    with psycopg.connect(url, autocommit=True, user="momus_reader") as reader:
        assert reader.execute("show transaction_read_only").fetchone() == ("on",)
        assert reader.execute("show temp_file_limit").fetchone() == ("1GB",)


def _defaults(url: str) -> list[tuple[object, ...]]:
    query = """select setdatabase = 0, unnest(setconfig) from pg_db_role_setting join pg_roles on oid = setrole
    where rolname = 'momus_reader' and setdatabase in (0, (select oid from pg_database where datname =
    current_database())) order by 1, 2"""
    with psycopg.connect(url, autocommit=True) as admin:
        return admin.execute(query).fetchall()


LOCKS = (0x6D6F6D7573, 0x6D6F6D7574, 1)
HOLDS: dict[str, Callable[[psycopg.Connection], object]] = {
    "views": hold_everything,
    "advisory locks": lambda reader: [reader.execute(f"select pg_advisory_lock({number})") for number in LOCKS],
    "a listener that does not read": lambda reader: reader.execute("listen momus_flush; begin; select 1"),
    "notifications": lambda reader: reader.execute("notify momus_flush, '9999999'"),
    "a prepared cursor": lambda reader: reader.execute("begin; declare c cursor for select * from api.blocks; fetch c"),
    "a lock on a view": lambda reader: reader.execute("begin; lock table api.blocks in access share mode"),
}


@pytest.mark.parametrize("hold", HOLDS)
def test_a_start_of_execution_waits_for_no_reader(database: Database, url: str, hold: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    with reading(url) as reader:
        with suppress(errors.InsufficientPrivilege):
            HOLDS[hold](reader)
        assert waits(url, lambda: migrate(url)) == set()


def test_a_migration_ends_readers_that_are_in_its_way(database: Database, url: str) -> None:
    database.flush(effects.first(), 0, cursor_at(1))
    with reading(url) as reader:
        hold_everything(reader)
        downgrade(url, "-1")
        with pytest.raises(psycopg.OperationalError):
            reader.execute("select 1")
    migrate(url)


def test_readers_whose_transaction_is_old_are_ended(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading(url) as old, reading(url) as idle:
        hold_everything(old)
        assert database.end_old_readers() == 0
        monkeypatch.setattr("projections.database.TRANSACTION_S_MAX", 0)
        assert database.end_old_readers() == 1
        with pytest.raises(psycopg.OperationalError):
            old.execute("select 1")
        assert idle.execute("select 1").fetchone() == (1,)


def waits(url: str, work: Callable[[], object]) -> set[str]:
    """The statements of `work` that were seen to wait for another session's lock; those who hold it are then ended."""
    seen: set[str] = set()
    query = """select query from pg_stat_activity where datname = current_database()
    and cardinality(pg_blocking_pids(pid)) > 0 and usename <> 'momus_reader' and application_name <> 'pruning'"""
    with psycopg.connect(url, autocommit=True) as watch, ThreadPoolExecutor(1) as thread:
        working: Future[object] = thread.submit(work)
        while not working.done() and not seen:
            seen |= {str(row[0]) for row in watch.execute(query)}
        if seen:
            watch.execute("""select pg_terminate_backend(b) from pg_stat_activity, unnest(pg_blocking_pids(pid)) as b
            where cardinality(pg_blocking_pids(pid)) > 0""")
        working.result()
    return seen


@contextmanager
def reader_of_views(url: str) -> Iterator[None]:
    with reading(url) as reader:
        hold_everything(reader)
        yield


@contextmanager
def prover(url: str) -> Iterator[None]:
    with connect(url) as connection, one_view(connection):
        yield


@contextmanager
def auditor(url: str) -> Iterator[None]:
    with connect(url) as connection, connection.transaction():
        audit_rows.begin(connection)
        connection.execute("select count(*) from ledger.blocks")
        yield


@contextmanager
def exporter(url: str) -> Iterator[None]:
    with ExportedView(url):
        yield


@contextmanager
def operator(url: str) -> Iterator[None]:
    """Somebody with all rights who looks at every table and goes to lunch."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'ledger'").fetchall()
        for (table,) in tables:
            connection.execute(f"select count(*) from ledger.{table}")
        yield


READERS = (reader_of_views, prover, auditor, exporter, operator)


@pytest.mark.parametrize("reader", READERS)
def test_no_flush_waits_for_a_reader(
    database: Database, url: str, genesis: Genesis, monkeypatch: pytest.MonkeyPatch, reader: Callable[[str], object]
) -> None:
    monkeypatch.setattr(pruning, "LOCK_WAIT", "60s")
    database.flush(history(range(1, HEIGHTS + 1)), 0, cursor_at(HEIGHTS), genesis)
    with reader(url), Database(url) as upkeep, ThreadPoolExecutor(1) as thread:  # type: ignore[attr-defined]
        upkeep._connection.execute("set application_name = 'pruning'")
        pruning_now = thread.submit(upkeep.prune, Keep(heights=1), HEIGHTS)
        _until_it_waits(url, pruning_now)

        def flush() -> None:
            """One that makes partitions, and one that reaches a checkpoint."""
            database.flush(history(range(HEIGHTS + 1, 3 * HEIGHTS)), HEIGHTS, cursor_at(3 * HEIGHTS - 1))
            database.flush(
                history(range(3 * HEIGHTS, 3 * HEIGHTS + 1)), 3 * HEIGHTS - 1, cursor_at(3 * HEIGHTS), genesis
            )

        assert waits(url, flush) == set()
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'pruning'")
        pruning_now.exception()
    changed = "select (select count(*) from ledger.changed_balances) + (select count(*) from ledger.changed_keys)"
    with psycopg.connect(url) as connection:
        assert connection.execute(changed).fetchone() == (0,)


def _until_it_waits(url: str, work: Future[Any]) -> None:
    query = """select from pg_stat_activity where application_name = 'pruning' and datname = current_database()
    and cardinality(pg_blocking_pids(pid)) > 0"""
    with psycopg.connect(url, autocommit=True) as watch:
        while not work.done() and watch.execute(query).fetchone() is None:
            pass


def test_what_is_pruned_beside_readers_is_gone_when_they_are(database: Database, url: str) -> None:
    database.flush(history(range(1, 2 * HEIGHTS)), 0, cursor_at(2 * HEIGHTS - 1))
    with reading(url) as reader:
        reader.execute(f"begin; select count(*) from api.blocks where height >= {HEIGHTS}")
        database.prune(Keep(heights=1), 2 * HEIGHTS)
    database.prune(Keep(heights=1), 2 * HEIGHTS)
    with psycopg.connect(url) as connection:
        left = connection.execute("select count(*) from pg_tables where tablename = 'blocks_0000000000'").fetchone()
        assert left == (0,)
        assert connection.execute("select min(height) from api.blocks").fetchone() == (HEIGHTS,)
