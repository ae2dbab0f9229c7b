"""Errors that are to be expected of any command, and the exit code that each ends it with."""

import sqlite3
from typing import Final

import psycopg

from backbone.log import LogUnavailable, PositionLost, TopicExists, TopicMissing
from backbone.store import StoreDamaged, StoreFailed, StoreLocked
from client import BackPressure, ClientStopped, NotFinal, TooLarge
from ledger.genesis import GenesisError
from node.embedded.broker_files import BrokerUnusable
from node.embedded.postgres_files import PostgresUnusable
from node.errors import Halted, Unavailable
from node.execution.blocks import StoreInconsistent
from node.home import exits
from node.home.keystore import KeyUnusable
from node.home.layout import HomeUnusable
from node.recovery.follow import FollowError
from node.recovery.rebuild import RecoveryFailed
from node.settings.tree import BadSettings
from projections.database import CursorMoved, DatabaseUnavailable, DatabaseUnusable
from sync.snapshots.restore import BadSnapshot
from sync.snapshots.stores import SnapshotStoreUnavailable

EXPECTED: Final[dict[type[Exception], int]] = {
    HomeUnusable: exits.USAGE,
    DatabaseUnusable: exits.HALT,
    BadSettings: exits.USAGE,
    KeyUnusable: exits.USAGE,
    GenesisError: exits.USAGE,
    TooLarge: exits.USAGE,
    TopicExists: exits.USAGE,
    TopicMissing: exits.HALT,
    PositionLost: exits.HALT,
    StoreDamaged: exits.HALT,
    StoreInconsistent: exits.HALT,
    FollowError: exits.HALT,
    Halted: exits.HALT,
    StoreLocked: exits.UNAVAILABLE,
    StoreFailed: exits.UNAVAILABLE,
    LogUnavailable: exits.UNAVAILABLE,
    CursorMoved: exits.HALT,
    RecoveryFailed: exits.HALT,
    DatabaseUnavailable: exits.UNAVAILABLE,
    SnapshotStoreUnavailable: exits.UNAVAILABLE,
    BadSnapshot: exits.HALT,
    PostgresUnusable: exits.UNAVAILABLE,
    BrokerUnusable: exits.UNAVAILABLE,
    Unavailable: exits.UNAVAILABLE,
    ClientStopped: exits.UNAVAILABLE,
    BackPressure: exits.UNAVAILABLE,
    NotFinal: exits.UNAVAILABLE,
    psycopg.OperationalError: exits.UNAVAILABLE,
    psycopg.errors.InsufficientPrivilege: exits.HALT,
    sqlite3.Error: exits.UNAVAILABLE,
}


def sentence_of(error: Exception) -> str:
    """What to say of one, in one line. Of a database that does not answer libpq says several, and no remedy."""
    if not isinstance(error, psycopg.OperationalError):
        return str(error)
    why = " ".join(str(error).split()).rstrip(".")
    return (
        f"The node's database does not answer ({why}). Where the node does not run, `momus run` starts it; else "
        "`momus status` says how it does."
    )
