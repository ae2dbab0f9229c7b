"""What can go wrong with the database, told apart by what the caller does next."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from ledger.errors import Halt, Unavailable

_COME_BACK = (
    psycopg.OperationalError,  # no connection, shutdown, no space, deadlock, time-out
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,  # a standby, before or after a failover
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
)


class DatabaseUnavailable(Unavailable):
    """The database does not answer now: try again, from the cursor."""


class DatabaseUnusable(Halt):
    """The database answers, but not as it must: halt. The message says what helps."""


class CursorMoved(Halt):
    """The cursor is not where this executor left it: somebody else writes the database. Nothing was changed."""


class StateDiffers(DatabaseUnusable):
    """The tables do not hold what execution left there. Nothing was changed; `momus replay` builds a good database."""


@contextmanager
def translated() -> Iterator[None]:
    """Raises psycopg's errors as DatabaseUnavailable or DatabaseUnusable."""
    try:
        yield
    except _COME_BACK as error:
        raise DatabaseUnavailable(_words(error)) from error
    except (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn) as error:
        raise DatabaseUnusable(f"{_words(error)}: the schema is missing or old. `momus run` brings it up.") from error
    except errors.InsufficientPrivilege as error:
        raise DatabaseUnusable(f"{_words(error)}: the role in postgres.url needs this right.") from error
    except psycopg.Error as error:
        raise DatabaseUnusable(f"{_words(error)}: the database was changed by somebody else, or is damaged.") from error


def _words(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).strip() or type(error).__name__
