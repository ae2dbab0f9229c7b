"""Whether a session is the one that its startup packet asked for.

A pooler (PgBouncer and its kind) stands between client and server, and starts sessions of its own with the server. It
may drop what a client says at its start, or hand one session from client to client: then a session that can only read
is an executor's a moment later. So each session says a mark at its start, in a setting that nobody else knows, and is
used only where the server answers with it.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import psycopg

from projections.session.errors import DatabaseUnusable

SETTING: Final = "momus.session"
QUESTION: Final = f"SELECT pg_catalog.current_setting('{SETTING}', true)"
POOLER: Final = (
    "The database's URL leads to a pooler, as PgBouncer is one, that does not start a session as it is asked to: what "
    "is to be read only could be written, and a commit need not be durable. Give the address of Postgres itself "
    "(postgres.url, api.postgres_url, or the file that holds it); see docs/operations.md"
)
_REFUSED: Final = "unsupported startup parameter"
"""What PgBouncer says of `options`, unless it is told to ignore them."""


def mark_of(settings: Mapping[str, str]) -> str:
    """Equal for sessions of equal settings: 16 hex digits."""
    said = "\n".join(f"{name}={value}" for name, value in sorted(settings.items()))
    return sha256(said.encode()).hexdigest()[:16]


def refuse_another(found: object, said: Mapping[str, str]) -> None:
    """`found`: what QUESTION gave, in a session that has said so. Raises: DatabaseUnusable, where that is another."""
    if found != said[SETTING]:
        raise DatabaseUnusable(POOLER)


def refuse_pooler(error: psycopg.OperationalError) -> None:
    """Raises: DatabaseUnusable, where a connection failed with `error` since a pooler refuses what it is asked."""
    if _REFUSED in str(error):
        raise DatabaseUnusable(POOLER) from error
