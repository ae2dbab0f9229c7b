"""Reading from the node's database: each request in one read-only view of all tables, whose height goes with it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection, IsolationLevel, OperationalError, errors, sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from projections.session.conninfo import conninfo
from serving.charging import querying
from serving.problems import Problem

_HEIGHT: Final = "SELECT height FROM api.status"
_FLOOR: Final = "SELECT coalesce(max(history_floor), 0) AS floor FROM api.pruning"
_MAY_BE_READER: Final = "SELECT pg_has_role(oid, 'SET') AS may FROM pg_roles WHERE rolname = 'momus_reader'"
_WAITING_MAX: Final = 8
"""Requests that wait for a connection, for each connection there is."""

Parameters = Mapping[str, object] | Sequence[object]
Statement = str | sql.Composed | sql.SQL


@dataclass(frozen=True, slots=True)
class View:
    """All tables as they were at `height`."""

    connection: AsyncConnection[DictRow]
    height: int

    async def rows(self, statement: Statement, parameters: Parameters = ()) -> list[DictRow]:
        """What a query gives."""
        text = statement.encode() if isinstance(statement, str) else statement
        return await (await self.connection.execute(text, parameters)).fetchall()

    async def row(self, statement: Statement, parameters: Parameters = ()) -> DictRow | None:
        """Its first row."""
        return next(iter(await self.rows(statement, parameters)), None)

    async def history_floor(self) -> int:
        """History is there above this height."""
        found = await self.row(_FLOOR)
        return 0 if found is None else int(found["floor"])


class Database:
    """Connections to one database, opened when they are needed, `connections` at most."""

    def __init__(self, url: str, connections: int, statement_ms: int) -> None:
        self.url = url
        self._statement_ms = statement_ms
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            conninfo(url, "momus api", {"statement_timeout": str(statement_ms), "default_transaction_read_only": "on"}),
            connection_class=AsyncConnection[DictRow],
            kwargs={"autocommit": True, "row_factory": dict_row},
            configure=self._configure,
            min_size=1,
            max_size=connections,
            max_waiting=_WAITING_MAX * connections,
            timeout=statement_ms / 1000,
            open=False,
        )

    async def open(self) -> None:
        """Whether the server is there or not."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    @asynccontextmanager
    async def view(self) -> AsyncIterator[View]:
        """One view of all tables. Raises: Problem, where the database does not answer (in time)."""
        try:
            async with self._pool.connection() as connection:
                with querying():
                    async with connection.transaction():
                        found = await (await connection.execute(_HEIGHT)).fetchone()
                        yield View(connection, 0 if found is None else int(found["height"]))
        except TooManyRequests as error:
            raise Problem("back_pressure", "Too many requests wait for the database.") from error
        except errors.QueryCanceled as error:
            raise Problem("query_too_slow", f"It has {self._statement_ms} ms.") from error
        except (PoolTimeout, OperationalError, errors.UndefinedTable, errors.InvalidSchemaName) as error:
            raise Problem("database_unavailable", "Try again; /v1/status says how the node does.") from error

    async def _configure(self, connection: AsyncConnection[DictRow]) -> None:
        # Said in the BEGIN of each view, so that it costs no statement of its own.
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        reader = await (await connection.execute(_MAY_BE_READER)).fetchone()
        if reader is not None and reader["may"]:
            await connection.execute("SET ROLE momus_reader")


def columns_of(model: Any) -> sql.Composed:
    """A row model's columns, as a list for SELECT."""
    return sql.SQL(", ").join(sql.Identifier(name) for name in model.model_fields)
