"""Reading from the node's database: each request in one read-only view of all tables, whose height goes with it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from psycopg import AsyncConnection, IsolationLevel, OperationalError, errors, sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from projections.session.connect import refuse_another_async
from projections.session.conninfo import conninfo
from projections.session.room import QUESTION as ROOM
from projections.session.room import allowed
from serving.charging import querying
from serving.problems import Problem

_HEIGHT: Final = "SELECT height, api.indexed_below() AS indexed_below FROM api.status"
_FLOOR: Final = "SELECT coalesce(max(history_floor), 0) AS floor FROM api.pruning"
_MAY_BE_READER: Final = "SELECT pg_has_role(oid, 'SET') AS may FROM pg_roles WHERE rolname = 'momus_reader'"
ANSWER_S: Final = 2.0
"""So much longer than a statement may take its answer may be on its way."""
_WAITING_MAX: Final = 8
"""Requests that wait for a connection, for each connection there is."""

Parameters = Mapping[str, object] | Sequence[object]
Statement = str | sql.Composed | sql.SQL


@dataclass(frozen=True, slots=True)
class View:
    """All tables as they were at `height`. History is indexed below `indexed_below`."""

    connection: AsyncConnection[DictRow]
    height: int
    indexed_below: int = 0
    answer_s: float = 60.0
    """A statement that is not answered in this time, nor cancelled by the server, never is."""

    async def rows(self, statement: Statement, parameters: Parameters = ()) -> list[DictRow]:
        """What a query gives. Raises: OperationalError, other errors of psycopg."""
        text = statement.encode() if isinstance(statement, str) else statement
        async with _answered(self.answer_s):
            return await (await self.connection.execute(text, parameters)).fetchall()

    async def row(self, statement: Statement, parameters: Parameters = ()) -> DictRow | None:
        """Its first row."""
        return next(iter(await self.rows(statement, parameters)), None)

    async def history_floor(self) -> int:
        """History is there above this height."""
        found = await self.row(_FLOOR)
        return 0 if found is None else int(found["floor"])


class Database:
    """Connections to one database, opened when they are needed, `connections` at most, and no more than the server
    lets the role have beside the `left_to_others`."""

    def __init__(self, url: str, connections: int, statement_ms: int, left_to_others: int = 0) -> None:
        self.url = url
        self._statement_ms = statement_ms
        self._settings = {"statement_timeout": str(statement_ms), "default_transaction_read_only": "on"}
        self._connections_max = connections
        self._left_to_others = left_to_others
        self._answer_s = statement_ms / 1000 + ANSWER_S
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            conninfo(url, "momus api", self._settings),
            connection_class=AsyncConnection[DictRow],
            kwargs={"autocommit": True, "row_factory": dict_row},
            configure=self._configure,
            min_size=1,
            max_size=1,
            max_waiting=_WAITING_MAX * connections,
            timeout=statement_ms / 1000,
            open=False,
        )

    @property
    def connections(self) -> int:
        """At most so many at once; 1 before the server was asked."""
        return self._pool.max_size

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
            async with AsyncExitStack() as held:
                yield await self._begun(held)
        except TooManyRequests as error:
            raise Problem("back_pressure", "Too many requests wait for the database.") from error
        except errors.QueryCanceled as error:
            raise Problem("query_too_slow", f"It has {self._statement_ms} ms.") from error
        except (PoolTimeout, OperationalError, errors.UndefinedTable, errors.InvalidSchemaName) as error:
            raise Problem("database_unavailable", "Try again; /v1/status says how the node does.") from error

    async def _begun(self, held: AsyncExitStack) -> View:
        """Over a connection that answers: those that the server has closed meanwhile are passed over."""
        for _ in range(self._connections_max + 1):
            async with AsyncExitStack() as trying:
                connection = await trying.enter_async_context(self._pool.connection())
                try:
                    async with _answered(self._answer_s):
                        trying.enter_context(querying())
                        await trying.enter_async_context(connection.transaction())
                        found = await (await connection.execute(_HEIGHT)).fetchone()
                except OperationalError:
                    if not connection.closed:
                        raise
                    continue
                held.push_async_exit(trying.pop_all().__aexit__)
                if found is None:
                    return View(connection, 0, 0, self._answer_s)
                return View(connection, int(found["height"]), int(found["indexed_below"]), self._answer_s)
        raise OperationalError("No connection answers.")

    async def _configure(self, connection: AsyncConnection[DictRow]) -> None:
        await refuse_another_async(connection, self._settings)
        room = await (await connection.execute(ROOM)).fetchone()
        if room is not None:
            left = allowed(**room) - self._left_to_others
            await self._pool.resize(1, max(1, min(self._connections_max, left)))
        # Said in the BEGIN of each view, so that it costs no statement of its own.
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        reader = await (await connection.execute(_MAY_BE_READER)).fetchone()
        if reader is not None and reader["may"]:
            await connection.execute("SET ROLE momus_reader")


@asynccontextmanager
async def _answered(within_s: float) -> AsyncIterator[None]:
    """Raises: OperationalError, where the time is over: a server that hangs says nothing."""
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError as error:
        raise OperationalError("The server does not answer.") from error


def columns_of(model: Any) -> sql.Composed:
    """A row model's columns, as a list for SELECT."""
    return sql.SQL(", ").join(sql.Identifier(name) for name in model.model_fields)
