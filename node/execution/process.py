"""The execute process: brings the node's database up to its store, and keeps it there."""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from ingest.pool import VerdictPool
from ledger.backoff import Backoff
from ledger.errors import Halt
from ledger.state import Cursor
from node.execution.background_maintenance import BackgroundMaintenance
from node.execution.pipeline import PipelineLimits
from node.execution.session import LogIdentity, Session
from node.execution.snapshots import Snapshots
from node.execution.watching import ExecutionProgress, execution_watched
from node.home.checkpoint_mailbox import MailboxWriter
from node.home.context import NodeContext
from node.home.control import ControlFile
from node.home.progress import ProgressFile
from node.metrics.execution import ExecutionMetrics
from node.metrics.writing import writing
from node.process.process import Process
from node.settings.tree import ExecuteSettings, PruningSettings
from node.wiring import database_url, snapshot_place
from node.wiring.connections import check_room
from projections.database import CursorMoved, DatabaseUnavailable
from projections.flush.checkpoints import StoredCheckpoint
from projections.maintenance.migrate import migrate
from projections.maintenance.pruning import Keep

RETRY_MS: Final = Backoff(100, 5_000)

log = structlog.get_logger()


def limits_of(settings: ExecuteSettings) -> PipelineLimits:
    """The pipeline's bounds as the settings give them."""
    return PipelineLimits(
        ahead_records_max=settings.ahead_records_max,
        ahead_bytes_max=settings.ahead_bytes_max,
        job_records_max=settings.job_records_max,
        flush_records_max=settings.flush_records_max,
        flush_transfers_max=settings.flush_transfers_max,
        flush_bytes_max=settings.flush_bytes_max,
        state_bytes_max=settings.state_bytes_max,
    )


def keep_of(settings: PruningSettings) -> Keep:
    """How much history is kept, as the settings give it."""
    return Keep(settings.keep_heights, settings.keep_ms, settings.keep_bytes)


@dataclass(frozen=True, slots=True)
class ExecuteProcess:
    """What the process is made of; `stop` is set by a signal and asks for a drain."""

    context: NodeContext
    identity: LogIdentity
    database_url: str
    stop: threading.Event
    on_running: Callable[[], None]
    on_waiting: Callable[[str], None]

    def run(self) -> None:
        """Until `stop`. Raises: Halt."""
        home, settings, genesis = self.context.home, self.context.settings, self.context.genesis
        progress = ProgressFile(home.progress_file)
        metrics = ExecutionMetrics()
        session = Session(
            genesis,
            self.identity,
            home.store,
            self.database_url,
            limits_of(settings.execute),
            watch=metrics,
        )
        place = snapshot_place(home, settings)
        keep = keep_of(settings.pruning)
        control = ControlFile(home.control_file)
        upkeep = BackgroundMaintenance(
            self.database_url, self.context, keep, place, self.stop, metrics.measured, control.read
        )
        upkeep.start()
        snapshots = Snapshots(self.context, place)
        try:
            with (
                closing(VerdictPool(settings.worker_count(), genesis.digest, genesis.limits)) as pool,
                writing(home, "execute", settings.metrics, metrics.values, partial(metrics.of_pool, pool)),
                execution_watched(home, self.database_url) as watch,
            ):
                self._run_sessions(session, pool, progress, snapshots, watch)
        finally:
            self.stop.set()
            upkeep.join()
            progress.close()
        if upkeep.fork is not None:
            raise Halt(upkeep.fork)

    def _run_sessions(
        self,
        session: Session,
        pool: VerdictPool,
        progress: ProgressFile,
        snapshots: Snapshots,
        watch: ExecutionProgress,
    ) -> None:
        """One session after the other: each starts from the cursor, a lost database ends it and the next one waits.

        What was lost is back with the next flush, or where there is none to do: that a session starts proves nothing.
        """
        failures = 0
        is_migrated = False

        def flushed(claims: MailboxWriter, cursor: Cursor, checkpoints: Sequence[StoredCheckpoint]) -> None:
            nonlocal failures
            if watch.reached(cursor.height) or not failures:
                failures = 0
                self.on_running()
            progress.write(cursor.height, cursor.heads)
            if checkpoints:
                claims.add(stored.checkpoint for stored in checkpoints)
                snapshots.reached(checkpoints[-1])

        def stops() -> bool:
            snapshots.run_once()
            return self.stop.is_set()

        while not self.stop.is_set():
            try:
                if not is_migrated:
                    # First: with too few connections a migration would wait for ever for its own.
                    if told := check_room(self.database_url, self.context.settings):
                        log.warning("the database told", notice=told)
                    for notice in migrate(self.database_url):
                        log.warning("the database told", notice=notice)
                    is_migrated = True
                session.run(pool, partial(flushed, MailboxWriter(self.context.home.checkpoint_mailbox)), stops)
            except DatabaseUnavailable as error:
                session.watch.unavailable()
                watch.failed(error)
                self.on_waiting(f"the database does not answer: {error}")
                wait_ms = RETRY_MS.wait(failures)
                failures += 1
                log.warning("database unavailable, trying again", reason=str(error), wait_ms=wait_ms)
                self.stop.wait(wait_ms / 1000)
            except CursorMoved as error:
                raise Halt(
                    f"{error} Another execute process writes this database: stop one of the two, then start again."
                ) from error


def run_execute(process: Process) -> None:
    """The execute process until SIGTERM. Raises: Halt, HomeUnusable."""
    context = process.context()
    executing = ExecuteProcess(
        context=context,
        identity=LogIdentity(context.settings.log.cluster_id, context.genesis.topic_id),
        database_url=database_url(context.home, context.settings),
        stop=process.stop,
        on_running=process.on_running,
        on_waiting=process.on_waiting,
    )
    executing.run()
