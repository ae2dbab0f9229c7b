"""The node's database as a reader uses it: read-only, with a time limit, started for the moment if need be."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import sql

from node import wiring
from node.home import Home
from node.settings import Settings

READER = "momus_reader"
_CONNECT_S = 10


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
        connection = stack.enter_context(psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_S))
        _restrict(connection, timeout_ms, as_reader)
        yield connection


def _restrict(connection: psycopg.Connection, timeout_ms: int, as_reader: bool) -> None:
    """From now on this session reads only, each statement within the time."""
    connection.execute(sql.SQL("set statement_timeout = {}").format(sql.Literal(timeout_ms)))
    connection.execute("set search_path = api")
    connection.execute("set default_transaction_read_only = on")
    if as_reader and connection.execute("select from pg_roles where rolname = %s", [READER]).fetchone() is not None:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(READER)))
