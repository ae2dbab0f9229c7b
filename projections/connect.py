"""Connections as this package wants them."""

from typing import Any, Final

import psycopg

from projections.packing import PackedArray, PackedArrayDumper

CONNECT_S_MAX: Final = 10
_SETTINGS: Final = (
    "SET synchronous_commit = on; SET timezone = 'UTC'; SET datestyle = 'ISO'; SET bytea_output = 'hex'; SET jit = off"
)

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(url: str, application: str = "momus") -> Connection:
    """An open connection in autocommit mode: every transaction is begun in so many words. A commit is durable,
    and a value has the same text, whatever the server's defaults. Raises: psycopg.Error.
    """
    connection = psycopg.connect(
        url,
        autocommit=True,
        prepare_threshold=None,  # plans depend on how much is asked
        connect_timeout=CONNECT_S_MAX,
        application_name=application,
    )
    connection.adapters.register_dumper(PackedArray, PackedArrayDumper)
    connection.execute(_SETTINGS)
    return connection
