"""What can go wrong with a database, as those who use it must tell apart."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


class DatabaseUnavailable(Exception):
    """The database does not answer, or has lost the connection. Try again from the cursor."""


class CursorMoved(Exception):
    """The cursor is not where this executor left it: somebody else writes the database. Nothing was changed."""


@contextmanager
def unavailable() -> Iterator[None]:
    """Connection losses and shutdowns as DatabaseUnavailable; a statement that is wrong stays psycopg's error."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"Postgres does not answer: {str(error).strip()}.") from error
