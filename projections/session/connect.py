"""Connections as this package wants them."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from projections.session.conninfo import conninfo, said_by
from projections.session.marked import QUESTION, refuse_another, refuse_pooler
from projections.session.packing import PackedArray, PackedArrayDumper

AsyncConnection = psycopg.AsyncConnection[Any]
Connection = psycopg.Connection[tuple[Any, ...]]


def connect(url: str, application: str = "momus", settings: Mapping[str, str] | None = None) -> Connection:
    """An open connection in autocommit mode: every transaction is begun in so many words. A commit is durable,
    and a value has the same text, whatever the server's defaults. `settings`: in place of those of every session.

    Raises: psycopg.Error; DatabaseUnusable, where `url` is none, or leads to a pooler.
    """
    try:
        connection: Connection = psycopg.connect(
            conninfo(url, application, settings),
            autocommit=True,
            prepare_threshold=None,  # plans depend on how much is asked
        )
    except psycopg.OperationalError as error:
        refuse_pooler(error)
        raise
    try:
        row = connection.execute(QUESTION).fetchone()
        refuse_another(row and row[0], said_by(settings))
    except BaseException:
        connection.close()
        raise
    connection.adapters.register_dumper(PackedArray, PackedArrayDumper)
    return connection


async def connect_async(url: str, application: str, settings: Mapping[str, str] | None = None) -> AsyncConnection:
    """As `connect`, for asyncio."""
    try:
        connection: AsyncConnection = await psycopg.AsyncConnection.connect(
            conninfo(url, application, settings), autocommit=True
        )
    except psycopg.OperationalError as error:
        refuse_pooler(error)
        raise
    try:
        await refuse_another_async(connection, settings)
    except BaseException:
        await connection.close()
        raise
    return connection


async def refuse_another_async(connection: AsyncConnection, settings: Mapping[str, str] | None) -> None:
    """Raises: DatabaseUnusable, where the session of a connection is not that which `settings` ask for."""
    cursor = connection.cursor(row_factory=tuple_row)
    row = await (await cursor.execute(QUESTION)).fetchone()
    refuse_another(row and row[0], said_by(settings))
