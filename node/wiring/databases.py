"""Making databases: the node's own, and scratch ones beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from node import wiring
from node.home.layout import Home
from node.settings.tree import Settings
from projections.maintenance.lock_holders import prepared_in
from projections.maintenance.migrate import downgrade, migrate
from projections.session.connect import Connection, connect
from projections.session.errors import DatabaseUnavailable, translated

_NAME = "momus administration"
_ADMINISTRATION = "postgres"
_CREATE = """create database {} template template0 encoding 'UTF8' locale 'C'
locale_provider builtin builtin_locale 'C.UTF-8'"""
"""Whatever the server's own locale, and whatever somebody may have put into template1, or hold open there."""
_MARK = "made by momus, and dropped when it is made again"
"""Comment of a database that somebody named and we made."""


def make_database(home: Home, settings: Settings) -> None:
    """The node's database with current tables; an embedded Postgres is left stopped, as it was found.

    Raises: DatabaseUnavailable, PostgresUnusable, BadSettings.
    """
    with running_postgres(home, settings):
        have_database(home, settings)
        url = wiring.database_url(home, settings)
        reach(url)
        migrate(url, partition_heights=settings.projections.partition_heights)


def have_database(home: Home, settings: Settings) -> None:
    """On the embedded Postgres, which must run: create the node's database where there is none; of another Postgres it
    is its operator's. Raises: DatabaseUnavailable."""
    service = wiring.postgres_service(home, settings)
    if service is not None:
        create_database(service.url(_ADMINISTRATION), wiring.DATABASE)
        # Readers have nothing to do elsewhere.
        _administer(service.url(_ADMINISTRATION), sql.SQL("revoke all on database postgres, template1 from public"))


def empty_database(home: Home, settings: Settings) -> None:
    """Drop everything of ours from the node's database, which may be lost already; Postgres must run.

    Raises: DatabaseUnavailable, BadSettings.
    """
    service = wiring.postgres_service(home, settings)
    if service is None:
        downgrade(wiring.database_url(home, settings))
        return
    administration = service.url(_ADMINISTRATION)
    drop_database(administration, wiring.DATABASE)
    create_database(administration, wiring.DATABASE)


@contextmanager
def running_postgres(home: Home, settings: Settings) -> Iterator[None]:
    """The embedded Postgres, started if nobody runs it and then stopped again; nothing where another is used."""
    service = wiring.postgres_service(home, settings)
    was_started = service is not None and service.ensure_running()
    try:
        yield
    finally:
        if service is not None and was_started:
            service.stop()


def reach(url: str) -> None:
    """Raises: DatabaseUnavailable, where the database does not answer."""
    with _connected(url):
        return


def beside(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlsplit(url)._replace(path=f"/{quote(name, safe='')}").geturl()


def create_database(url: str, name: str) -> None:
    """A new database beside that of `url`; nothing where there is one.

    Raises: DatabaseUnavailable, DatabaseUnusable.
    """
    _administer(url, sql.SQL(_CREATE).format(sql.Identifier(name)), psycopg.errors.DuplicateDatabase)
    # It is ours alone, until `migrate` grants what readers may.
    _administer(url, sql.SQL("revoke all on database {} from public").format(sql.Identifier(name)))


def drop_database(url: str, name: str) -> None:
    """Drop a database beside that of `url`, ending its connections.

    Raises: DatabaseUnavailable, DatabaseUnusable.
    """
    try:
        _administer(url, sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
    except DatabaseUnavailable as error:
        with translated(), _connected(url) as database:
            held = prepared_in(database, name)
        if not held:
            raise
        raise DatabaseUnavailable(f"Database {name} cannot be dropped, it is in use by {'; '.join(held)}.") from error


def renew_database(url: str, name: str) -> None:
    """A fresh database beside that of `url`, in the place of an earlier one. Raises: DatabaseUnavailable."""
    drop_database(url, name)
    create_database(url, name)


def mark(url: str, name: str) -> None:
    """Note on a database beside that of `url` that it is ours to drop. Raises: DatabaseUnavailable."""
    _administer(url, sql.SQL("comment on database {} is {}").format(sql.Identifier(name), _MARK))


def is_somebodys(url: str, name: str) -> bool:
    """Whether a database beside that of `url` is there, and not marked as ours. Raises: DatabaseUnavailable."""
    query = """select shobj_description(oid, 'pg_database') is distinct from %s from pg_database where datname = %s"""
    with translated(), _connected(url) as database:
        row = database.execute(query, (_MARK, name)).fetchone()
    return row is not None and bool(row[0])


def _administer(url: str, statement: sql.SQL | sql.Composed, harmless: type[psycopg.Error] | None = None) -> None:
    with translated(), _connected(url) as database:
        try:
            database.execute(statement)
        except psycopg.Error as error:
            if harmless is None or not isinstance(error, harmless):
                raise


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    try:
        database = connect(url, _NAME)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"Postgres does not answer: {str(error).strip()}.") from error
    with database:
        yield database
