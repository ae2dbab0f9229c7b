"""Connections as this package wants them."""

from collections.abc import Mapping
from typing import Any

import psycopg

from projections.session.conninfo import conninfo
from projections.session.packing import PackedArray, PackedArrayDumper

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(url: str, application: str = "momus", settings: Mapping[str, str] | None = None) -> Connection:
    """An open connection in autocommit mode: every transaction is begun in so many words. A commit is durable,
    and a value has the same text, whatever the server's defaults. `settings`: in place of those of every session.

    Raises: psycopg.Error; DatabaseUnusable, where `url` is none.
    """
    connection = psycopg.connect(
        conninfo(url, application, settings),
        autocommit=True,
        prepare_threshold=None,  # plans depend on how much is asked
    )
    connection.adapters.register_dumper(PackedArray, PackedArrayDumper)
    return connection
