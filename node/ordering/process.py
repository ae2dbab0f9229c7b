"""The order process: reads the log into the store, agrees with the other validators, holds the only key."""

import threading
from functools import partial
from time import monotonic

from backbone.intake.intake import IntakeLimits, IntakeParts
from backbone.intake.retained_records import RetainedRecords
from backbone.log import Log, PositionLost, TopicMissing
from backbone.store import StoreFailed, StoreReader, StoreWriter
from consensus.core.timers import ConsensusSettings
from consensus.runtime.driver import Driver, Ports
from consensus.runtime.journal_file import open_journal
from ledger import digests
from ledger.block import FinalBlock
from ledger.errors import Halt, Unavailable
from ledger.keys import PrivateKey
from node import wiring
from node.home.checkpoint_mailbox import MailboxReader
from node.home.context import NodeContext
from node.home.evidence import EvidenceFolder, settled_height
from node.home.final_heads import final_time_ms
from node.home.intake import open_intake
from node.home.progress import ProgressFile
from node.home.store_base import read_base
from node.metrics.ordering import OrderMetrics
from node.metrics.writing import writing
from node.ordering import checks
from node.ordering.announcing import announcing
from node.ordering.clock import ToldClock
from node.ordering.ordered import Ordered
from node.ordering.records import FirstOf, OwnRecords
from node.ordering.watching import order_watched
from node.process.process import Process
from node.settings.tree import OrderSettings

_BOOT_POLL_S = 0.02


def run_order(process: Process) -> None:
    """Until SIGTERM. Raises: Halt, Unavailable, CallerError."""
    context = process.context()
    home, settings, genesis, committee = context.home, context.settings, context.genesis, context.committees.current
    key = wiring.validator_key(home, settings, committee)
    try:
        with wiring.open_log(home, settings) as log:
            checks.check_log(log, genesis, committee, settings)
            with StoreWriter(home.store, settings.store.segment_bytes) as store:
                _run(process, context, key, log, store)
    except StoreFailed as error:
        raise Unavailable(f"{error} Check the disk and the space on it.") from error
    except PositionLost as error:
        raise Halt(checks.lost_position(genesis, error)) from error
    except TopicMissing as error:
        raise Halt(checks.missing_topic(error)) from error


def _run(process: Process, context: NodeContext, key: PrivateKey, log: Log, store: StoreWriter) -> None:
    home, settings, genesis = context.home, context.settings, context.genesis
    peers = wiring.record_source(home, settings, genesis)
    progress = ProgressFile(home.progress_file)
    with StoreReader(home.store) as stored, StoreReader(home.store) as stored_for_intake:
        retained = RetainedRecords(home.retained)
        parts = IntakeParts(log, genesis.topic, store, stored_for_intake, retained, _chain)
        base = read_base(stored_for_intake.directory, genesis)
        intake = open_intake(parts, genesis, _limits(settings.order), base, _steady_ms)
        ordered = Ordered(stored, genesis, progress.read()[0])
        clock = ToldClock(home.clock_file, final_time_ms(stored, genesis))
        metrics = OrderMetrics(genesis, context.committees.current, home, clock.steady.time_ms)

        def on_final(final: FinalBlock) -> None:
            ordered.on_final(final.header)
            metrics.on_final(final.header)
            clock.on_final(final.header.time_ms)

        def lag() -> int:
            return max(0, ordered.total() - ordered.count(*progress.read()))

        ports = Ports(
            genesis=genesis,
            committees=context.committees,
            key=key,
            log=log,
            store=store,
            store_reader=stored,
            intake=intake,
            source=OwnRecords(retained) if peers is None else FirstOf([OwnRecords(retained), peers]),
            open_journal=partial(open_journal, home.journal_file, genesis.digest, key.public_key),
            lag=lag,
            claims=MailboxReader(home.checkpoint_mailbox, genesis).read,
            now_ms=clock.steady.now_ms,
            ahead_ms=clock.ahead_ms,
            report=EvidenceFolder(home.evidence).report,
            settled_height=settled_height(home.evidence),
            on_final=on_final,
        )
        driver = Driver(ports, driver_settings(settings.order))
        samples = (
            partial(metrics.of_driver, driver),
            partial(metrics.of_intake, intake.partitions),
            partial(metrics.of_clock, clock),
            partial(metrics.of_disk, log, intake.partitions, lag),
        )
        discovery = announcing(context, key, log, driver.status, metrics.values)
        try:
            with (
                writing(home, "order", settings.metrics, metrics.values, *samples),
                discovery,
                order_watched(context, driver),
            ):
                _drive(process, driver)
        finally:
            intake.close()
            progress.close()
            clock.close()


def _drive(process: Process, driver: Driver) -> None:
    watch = threading.Thread(target=_stop_when_asked, args=(process, driver), name="stop", daemon=True)
    watch.start()
    try:
        driver.run()
    finally:
        process.stop.set()
        watch.join()


def driver_settings(settings: OrderSettings) -> ConsensusSettings:
    """The driver's settings as the node's tree gives them."""
    return ConsensusSettings(
        timeout_ms=settings.view_timeout_ms,
        timeout_max_ms=settings.view_timeout_max_ms,
        timeout_growth_percent=settings.view_timeout_growth_percent,
        idle_ms=settings.idle_ms,
        drift_ms=settings.drift_ms,
        lag_max=settings.lag_max,
        blocks_delay_ms=settings.blocks_delay_ms,
        fetch_ms=settings.fetch_ms,
        reread_ms=settings.reread_ms,
        depth_max=settings.depth_max,
        views_ahead_max=settings.views_ahead_max,
        resend_ms=settings.resend_ms,
        resend_max_ms=settings.resend_max_ms,
        resend_messages_max=settings.resend_messages_max,
        answer_ms=settings.answer_ms,
        read_records_max=settings.read_records_max,
    )


def _limits(settings: OrderSettings) -> IntakeLimits:
    return IntakeLimits(settings.suffix_records_max, settings.suffix_bytes_max)


def _steady_ms() -> int:
    return int(monotonic() * 1000)


def _chain(before: bytes, incarnation: int, offset: int, value: bytes | None) -> bytes:
    return digests.chain_next(before, incarnation, offset, digests.value_digest(value))


def _stop_when_asked(process: Process, driver: Driver) -> None:
    """Passes on the wish to stop; says that the process runs once the driver has booted."""
    while not process.stop.wait(_BOOT_POLL_S):
        if driver.status():
            process.on_running()
            process.stop.wait()
    driver.stop()
