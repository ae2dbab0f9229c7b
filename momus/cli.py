"""The command `momus`: registers the commands, and turns the errors that are to be expected into one sentence each."""

import sys
from collections.abc import Sequence
from typing import Final

import psycopg
import typer

from backbone.log import LogUnavailable, PositionLost, TopicExists, TopicMissing
from backbone.store import StoreDamaged, StoreFailed, StoreLocked
from ledger.genesis import GenesisError
from momus import bench, demo
from momus.client import BackPressure, ClientStopped, NotFinal, TooLarge
from momus.commands import (
    admin,
    audit,
    drill,
    effects,
    init,
    joining,
    kafka,
    peers,
    prove,
    recover,
    replay,
    run,
    simulate,
    snapshots,
    sql,
    status,
    submit,
    tx,
    verify,
)
from momus.commands.output import Failure, errors
from node import exits
from node.blocks import StoreInconsistent
from node.broker_files import BrokerUnusable
from node.follow import FollowError
from node.home import HomeUnusable
from node.keystore import KeyUnusable
from node.postgres_files import PostgresUnusable
from node.process import Halted, Unavailable
from node.rebuild import NoWayBack
from node.settings import BadSettings
from projections.database import CursorMoved, DatabaseUnavailable, DatabaseUnusable
from sync.snapshots.places import PlaceUnavailable
from sync.snapshots.restore import BadSnapshot

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
    NoWayBack: exits.HALT,
    DatabaseUnavailable: exits.UNAVAILABLE,
    PlaceUnavailable: exits.UNAVAILABLE,
    BadSnapshot: exits.HALT,
    PostgresUnusable: exits.UNAVAILABLE,
    BrokerUnusable: exits.UNAVAILABLE,
    Unavailable: exits.UNAVAILABLE,
    ClientStopped: exits.UNAVAILABLE,
    BackPressure: exits.UNAVAILABLE,
    NotFinal: exits.UNAVAILABLE,
    psycopg.OperationalError: exits.UNAVAILABLE,
}

app = typer.Typer(
    name="momus",
    help="A Byzantine-fault-tolerant ledger on Apache Kafka and Postgres.",
    epilog="Exit codes: 0 ok, 1 a check failed or a transaction was rejected, 2 usage, 3 halt, 4 unavailable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init.command)
app.command("run")(run.command)
app.add_typer(joining.keys_app, name="keys")
app.add_typer(joining.genesis_app, name="genesis")
app.add_typer(submit.app, name="submit")
app.command("tx")(tx.command)
app.command("status")(status.command)
app.command("peers")(peers.command)
app.add_typer(admin.app, name="admin")
app.add_typer(effects.app, name="effects")
app.command("sql")(sql.command)
app.command("replay")(replay.command)
app.command("audit")(audit.command)
app.command("drill")(drill.command)
app.command("snapshots")(snapshots.command)
app.command("recover")(recover.command)
app.command("at")(recover.at)
app.add_typer(prove.app, name="prove")
app.command("verify")(verify.command)
app.command("simulate")(simulate.command)
app.command("kafka")(kafka.command)
app.command("demo")(demo.command)
app.command("bench")(bench.command)
app.command("process", hidden=True)(run.process)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run_line(sys.argv[1:]))


def run_line(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code."""
    try:
        app(args=list(arguments), prog_name="momus")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else exits.OK
    except Failure as failure:
        return _failed(failure.code, failure)
    except tuple(EXPECTED) as error:
        return _failed(next(code for kind, code in EXPECTED.items() if isinstance(error, kind)), error)
    return exits.OK


def _failed(code: int, error: Exception) -> int:
    errors.print(f"momus: {str(error).strip()}", markup=False)
    return code
