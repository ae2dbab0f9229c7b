"""The schema: made, brought up to date, taken down. A plain URL is enough; no superuser rights are needed."""

from io import StringIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from psycopg.errors import (
    Diagnostic,
    DuplicateSchema,
    DuplicateTable,
    LockNotAvailable,
    UndefinedTable,
    UniqueViolation,
)

from ledger.formats import refusal
from projections.maintenance.lock_holders import lock_holders
from projections.maintenance.readers import bound_readers, end_readers
from projections.session.connect import Connection, connect
from projections.session.errors import DatabaseUnavailable, DatabaseUnusable, translated

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"
TRIES: Final = 3
_IN_THIS_PROCESS: Final = Lock()
"""Alembic keeps the migration under way in globals of the process."""
SERVER_VERSION_MIN: Final = 18
NAME: Final = "momus migrate"

_MIGRATING: Final = """SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity AS s USING (pid)
    WHERE relation = to_regclass('ledger.alembic_version') AND mode = 'ShareRowExclusiveLock' AND granted
        AND s.application_name = %s AND s.pid <> pg_backend_pid())"""
_SET_LAYOUT: Final = """UPDATE ledger.layout SET partition_heights = %(heights)s
WHERE partition_heights <> %(heights)s AND NOT EXISTS (SELECT FROM ledger.blocks)"""


def migrate(url: str, partition_heights: int | None = None) -> tuple[str, ...]:
    """Upgrade to the newest tables, and bound what readers may; what the server told, for a person to read.
    `partition_heights` is set only while there is no block yet.

    Raises: DatabaseUnavailable, DatabaseUnusable (too old, not in UTF-8, no rights, or made by a newer program).
    """
    with translated(), connect(url, NAME) as connection:
        _check_server(connection)
        _check_revision(connection)
        notices = () if _revision(connection) == newest_revision() else _moved(connection, url, "head")
        if partition_heights is not None:
            connection.execute(_SET_LAYOUT, {"heights": partition_heights})
        return notices + bound_readers(connection)


def downgrade(url: str, revision: str = "base") -> None:
    """Go back to `revision`; "base" drops everything of ours but the schema `ledger` with Alembic's own table.

    Raises: DatabaseUnavailable, DatabaseUnusable.
    """
    with translated(), connect(url, NAME) as connection:
        _moved(connection, url, revision)


def newest_revision() -> str:
    """Of the tables that this program knows."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def offline_sql() -> str:
    """All migrations as one script, for those who run SQL themselves, and for the linter."""
    from alembic import command

    out = StringIO()
    command.upgrade(_config(out), "head", sql=True)
    return out.getvalue()


def _revision(connection: Connection) -> str | None:
    """Of the tables in the database; None where there are none."""
    try:
        row = connection.execute("SELECT version_num FROM ledger.alembic_version").fetchone()
    except UndefinedTable:
        return None
    return None if row is None else str(row[0])


def _check_revision(connection: Connection) -> None:
    """Raises: DatabaseUnusable, where the tables are newer than this program."""
    found, newest = _revision(connection), newest_revision()
    if found is not None and found > newest:
        words = refusal("table", found, newest, is_newer=True)
        raise DatabaseUnusable(f"The database {connection.info.dbname} {words}.")


def _moved(connection: Connection, url: str, revision: str) -> tuple[str, ...]:
    """The migrations, whoever stands in their way: readers are sent off, others are named.

    Raises: DatabaseUnavailable, DatabaseUnusable, psycopg.Error.
    """
    tries_left = TRIES
    while True:
        end_readers(connection)
        try:
            with _IN_THIS_PROCESS:
                return _run(url, revision)
        except LockNotAvailable as error:
            # Another migration is waited for, however long it takes.
            tries_left -= not _is_migrating(connection)
            if not tries_left:
                held = "; ".join(lock_holders(connection)) or "somebody who has just let go"
                raise DatabaseUnavailable(
                    f"The tables cannot be brought up to date, they are in use: locks are held by {held}."
                ) from error
        except (UniqueViolation, DuplicateTable, DuplicateSchema):
            tries_left -= 1
            if not tries_left:  # or else: two have made the first table at once
                raise


def _is_migrating(connection: Connection) -> bool:
    """Whether a session of ours has the turn to migrate."""
    row = connection.execute(_MIGRATING, [NAME]).fetchone()
    return row is not None and bool(row[0])


def _run(url: str, revision: str) -> tuple[str, ...]:
    # Much to load, and not needed where the newest tables are there: at all starts of a node but its first.
    from alembic import command
    from alembic.util import CommandError
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    notices: list[str] = []

    def listen(notice: Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING" and notice.message_primary:
            notices.append(notice.message_primary)

    def create() -> Connection:
        connection = connect(url, NAME)
        connection.autocommit = False
        connection.add_notice_handler(listen)
        return connection

    config = _config(StringIO())
    move = command.upgrade if revision == "head" else command.downgrade
    try:
        with create_engine("postgresql+psycopg://", creator=create, poolclass=NullPool).begin() as connection:
            config.attributes["connection"] = connection
            move(config, revision)
    except CommandError as error:
        raise DatabaseUnusable(f"{error}. The database was made by another version of this program.") from error
    except DBAPIError as error:
        raise error.orig or error from error
    return tuple(notices)


def _config(out: StringIO) -> "Config":
    """Alembic's configuration, without a file."""
    from alembic.config import Config

    config = Config(output_buffer=out, stdout=out)
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _check_server(connection: Connection) -> None:
    version, encoding = connection.info.server_version // 10_000, connection.info.parameter_status("server_encoding")
    if version < SERVER_VERSION_MIN:
        raise DatabaseUnusable(f"The server is Postgres {version}: {SERVER_VERSION_MIN} or newer is needed.")
    if encoding != "UTF8":
        raise DatabaseUnusable(
            f"The database {connection.info.dbname} is encoded in {encoding}: make one with encoding 'UTF8'."
        )
