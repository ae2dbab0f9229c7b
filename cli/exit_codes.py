"""Errors that are to be expected of any command, and the exit code that each ends it with."""

import sqlite3
from typing import Final

import psycopg

from node.home import exits

EXPECTED: Final[dict[type[Exception], int]] = {
    **exits.FAMILIES,
    psycopg.OperationalError: exits.UNAVAILABLE,
    psycopg.errors.InsufficientPrivilege: exits.HALT,
    sqlite3.Error: exits.UNAVAILABLE,
}
"""By family; the others are of what commands ask the database and the embedded log directly."""


def sentence_of(error: Exception) -> str:
    """What to say of one, in one line. Of a database that does not answer libpq says several, and no remedy."""
    if not isinstance(error, psycopg.OperationalError):
        return str(error)
    why = " ".join(str(error).split()).rstrip(".")
    return (
        f"The node's database does not answer ({why}). Where the node does not run, `momus run` starts it; else "
        "`momus status` says how it does."
    )
