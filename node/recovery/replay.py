"""Replay: a node's database built anew from its store or from the log alone, and compared with the live one."""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backbone.store import StoreReader, StoreWriter
from ingest.pool import VerdictPool
from ledger.errors import CallerError
from node import wiring
from node.execution.process import limits_of
from node.execution.session import LogIdentity, Session
from node.home.context import NodeContext
from node.home.progress import records_of
from node.ordering.ordered import Ordered
from node.recovery.follow import Follower, FollowProgress
from projections.database import Database
from projections.maintenance.migrate import migrate


class ReplayTargetNotFresh(CallerError):
    """The database to replay into is already a node's. Replay writes into a fresh one only."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a replay is: records of `records_total`, at `height`. `what` is "reading the log" or "executing"."""

    what: str
    height: int
    records: int
    records_total: int


OnStep = Callable[[Step], None]


def store_from_log(context: NodeContext, folder: Path, on_step: OnStep) -> None:
    """Fill a store in `folder` from the log alone, everything verified. An earlier one there is deleted.

    Raises: FollowError, LogUnavailable, TopicMissing, StoreFailed.
    """
    settings, genesis = context.settings, context.genesis
    shutil.rmtree(folder, ignore_errors=True)

    def report(progress: FollowProgress) -> None:
        on_step(Step("reading the log", progress.height, progress.records, 0))

    with (
        wiring.open_log(context.home, settings) as log,
        StoreWriter(folder, settings.store.segment_bytes) as writer,
        StoreReader(folder) as stored,
    ):
        Follower(log.reader, genesis, writer, stored, context.block_reader().verify, report).run()


def replay(
    context: NodeContext,
    store: Path,
    url: str,
    until_height: int | None,
    on_step: OnStep,
    is_begun: bool = False,
) -> tuple[int, int]:
    """Execute a store into the fresh database at `url`, or one that `is_begun`; (height reached, records executed).

    Raises: ReplayTargetNotFresh, DatabaseUnavailable, StoreInconsistent, StoreDamaged, CursorMoved.
    """
    settings, genesis = context.settings, context.genesis
    # The workers start while the tables are made: on a short replay that is a tenth of the time.
    with closing(VerdictPool(settings.worker_count(), genesis.digest, genesis.limits)) as pool:
        migrate(url, partition_heights=settings.projections.partition_heights)
        with Database(url) as database:
            before = database.cursor()
            if before is not None and not is_begun:
                raise ReplayTargetNotFresh(
                    "The database holds a ledger already; replay into a fresh one, or drop it first."
                )
        with StoreReader(store) as reader:
            height = reader.last_height() if until_height is None else min(until_height, reader.last_height())
            ordered = Ordered(reader, genesis)
            total = ordered.total()
        session = Session(
            genesis,
            LogIdentity(settings.log.cluster_id, genesis.topic_id),
            store,
            url,
            limits_of(settings.execute),
            rehash=True,
        )
        cursor = session.run(
            pool,
            lambda at, _: on_step(Step("executing", at.height, ordered.count(at.height, records_of(at.heads)), total)),
            lambda: False,
            height,
        )
    with Database(url) as database:
        database.maintain()
    done = 0 if before is None else ordered.count(before.height, records_of(before.heads))
    return cursor.height, ordered.count(cursor.height, records_of(cursor.heads)) - done
