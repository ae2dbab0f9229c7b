"""The node's database as a reader uses it: read-only, with a time limit, started for the moment if need be."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import sql

from node import wiring
from node.home.layout import Home
from node.settings.tree import Settings
from projections.session.connect import connect

READER = "momus_reader"


@contextmanager
def reading(home: Home, settings: Settings, timeout_ms: int, as_reader: bool = True) -> Iterator[psycopg.Connection]:
    """A read-only connection; as the role of readers, which sees schema api alone, where the database has it.

    The embedded Postgres is started if nobody runs it, and then stopped again. Raises: psycopg.OperationalError,
    PostgresUnusable.
    """
    with ExitStack() as stack:
        service = wiring.postgres_service(home, settings)
        if service is not None and service.ensure_running():
            stack.callback(service.stop)
        url = wiring.database_url(home, settings)
        connection = stack.enter_context(connect(url, "momus sql", reading_only(timeout_ms)))
        connection.prepare_threshold = 5  # what is prepared is one statement
        if as_reader:
            _become_reader(connection)
        yield connection


def reading_only(timeout_ms: int) -> dict[str, str]:
    """Settings of a session that reads only, each statement within the time."""
    return {"statement_timeout": str(timeout_ms), "search_path": "api", "default_transaction_read_only": "on"}


def _become_reader(connection: psycopg.Connection) -> None:
    if connection.execute("select from pg_roles where rolname = %s", [READER]).fetchone() is not None:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(READER)))
