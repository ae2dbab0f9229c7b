"""Each error that a command may end with has its exit code, and says one line."""

import sqlite3
from typing import Final

import psycopg
import pytest
import typer

from backbone.log import LogUnavailable, PositionLost, TopicExists, TopicMissing
from backbone.store import StoreDamaged, StoreFailed, StoreLocked
from cli.exit_codes import sentence_of
from cli.main import run_line
from client import BackPressure, ClientStopped, NotFinal, TooLarge
from ledger.errors import Halt, Unavailable
from ledger.genesis import GenesisError
from node.embedded.broker_files import BrokerUnusable
from node.embedded.postgres_files import PostgresUnusable
from node.execution.blocks import StoreInconsistent
from node.home import exits
from node.home.keystore import KeyUnusable
from node.home.layout import HomeUnusable
from node.recovery.follow import BlockMissing, ChainBroken, FollowError, LogAltered, LogTooShort
from node.recovery.rebuild import RecoveryFailed
from node.settings.tree import BadSettings
from projections.database import CursorMoved, DatabaseUnavailable, DatabaseUnusable, StateDiffers
from sync.snapshots.restore import BadSnapshot
from sync.snapshots.stores import SnapshotStoreUnavailable

BROKEN: Final = "It is [broken]; mend it."
CODES: Final[dict[type[Exception], int]] = {
    BadSettings: exits.USAGE,
    GenesisError: exits.USAGE,
    HomeUnusable: exits.USAGE,
    KeyUnusable: exits.USAGE,
    TooLarge: exits.USAGE,
    TopicExists: exits.USAGE,
    BadSnapshot: exits.HALT,
    BlockMissing: exits.HALT,
    ChainBroken: exits.HALT,
    CursorMoved: exits.HALT,
    DatabaseUnusable: exits.HALT,
    FollowError: exits.HALT,
    Halt: exits.HALT,
    LogAltered: exits.HALT,
    LogTooShort: exits.HALT,
    PositionLost: exits.HALT,
    RecoveryFailed: exits.HALT,
    StateDiffers: exits.HALT,
    StoreDamaged: exits.HALT,
    StoreInconsistent: exits.HALT,
    TopicMissing: exits.HALT,
    psycopg.errors.InsufficientPrivilege: exits.HALT,
    BackPressure: exits.UNAVAILABLE,
    BrokerUnusable: exits.UNAVAILABLE,
    ClientStopped: exits.UNAVAILABLE,
    DatabaseUnavailable: exits.UNAVAILABLE,
    LogUnavailable: exits.UNAVAILABLE,
    NotFinal: exits.UNAVAILABLE,
    PostgresUnusable: exits.UNAVAILABLE,
    SnapshotStoreUnavailable: exits.UNAVAILABLE,
    StoreFailed: exits.UNAVAILABLE,
    StoreLocked: exits.UNAVAILABLE,
    Unavailable: exits.UNAVAILABLE,
    psycopg.OperationalError: exits.UNAVAILABLE,
    sqlite3.Error: exits.UNAVAILABLE,
}


@pytest.mark.parametrize("kind", CODES)
def test_expected_errors_are_one_line_and_an_exit_code(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = typer.Typer()

    @failing.command()
    def fail() -> None:
        raise kind(BROKEN)

    monkeypatch.setattr("cli.main.make_app", lambda names: failing)
    assert run_line([]) == CODES[kind]
    err = capsys.readouterr().err
    assert err == f"momus: {sentence_of(kind(BROKEN))}\n"
    assert BROKEN.rstrip(".") in err


def test_of_a_database_that_does_not_answer_one_line_with_a_remedy_is_said() -> None:
    said = sentence_of(psycopg.OperationalError("connection is bad: no such file\n\tIs the server running?\n"))
    assert said.count("\n") == 0
    assert "no such file Is the server running?" in said
    assert "`momus run`" in said
