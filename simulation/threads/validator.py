"""A validator whose process is production's: the driver, its queues, readers, outbox and intake, on virtual threads.

Built in the order of `node.ordering.process`: the intake over the store as it is, then the driver, which opens the
journal, reads its own topic to the end, brings the store up to the journal, and only then starts to read.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol, cast

from backbone.intake.retained_records import RetainedRecords
from backbone.log import Log, LogRecord
from backbone.store import StoredRecord, StoreFailed, StoreReader, StoreWriter
from consensus.runtime.boot import Boot
from consensus.runtime.journal import Journal
from consensus.runtime.loop import Loop
from consensus.runtime.ports import LoopPorts, Ports
from ledger.checkpoint import Checkpoint
from ledger.committee import Committees
from ledger.header import Head
from node.ordering.records import FirstOf, OwnRecords
from simulation.cast import ByzantineLoop
from simulation.parts.faults import Faults
from simulation.parts.intake import Stores, open_intake
from simulation.parts.log import SimLog
from simulation.parts.signatures import verify_memoised
from simulation.parts.validator import COMPACT_BYTES, SimValidator
from simulation.threads.log import ProcessLog
from simulation.threads.ports import Points, Port, PortFaults
from simulation.threads.primitives import Bell, VirtualThreads
from simulation.threads.processor import Processor, record_us
from simulation.threads.scheduler import Process, Scheduler, VirtualThread
from simulation.threads.store_files import FiledStore, StoreFiles
from simulation.threads.watched import JournalPort, SimDriver, Turn, WatchedByzantineLoop, WatchedLoop, WatchedOutbox

FETCH_MS: Final = 300
"""What it takes at most to ask others for records."""

_STORE_ERRORS: Final = dict.fromkeys(("append", "sync", "append_final", "append_certificate"), StoreFailed)
_DURABLE: Final = frozenset({"replace_suffix", "append_final", "append_certificate"})


class Host(Protocol):
    """The world, as far as processes reach it; `seat` says whose."""

    is_healed: bool
    folder: Path
    """Where validators have their stores."""

    @property
    def scheduler(self) -> Scheduler: ...
    @property
    def log(self) -> SimLog: ...
    @property
    def faults(self) -> Faults: ...
    @property
    def port_faults(self) -> PortFaults: ...
    def own_values(self, seat: int, topic: str, position: int) -> list[bytes]: ...
    def on_durable(self, seat: int, name: str) -> None: ...
    def on_file_step(self, seat: int, name: str) -> None: ...
    def now_ms(self) -> int: ...
    def busy_until_ms(self, seat: int) -> int: ...
    def is_deaf_to(self, seat: int, topic: str) -> bool: ...
    def send_record(self, seat: int, topic: str, value: bytes, on_done: Callable[[bool], None]) -> None: ...
    def held_by_others(
        self, subject: SimValidator, before: Head | None, target: Head | None
    ) -> list[StoredRecord] | None: ...
    def on_report(self, seat: int, what: str, facts: Any) -> None: ...
    def on_up(self, validator: "ThreadedValidator") -> None: ...
    def on_own_topic(self, validator: "ThreadedValidator") -> None: ...
    def on_turn(self, validator: "ThreadedValidator", turn: Turn) -> None: ...
    def on_first_taken(self, validator: "ThreadedValidator", topic: str, turns: int) -> None: ...
    def on_said(self, validator: "ThreadedValidator", topic: str, value: bytes) -> None: ...
    def on_lost_on_way(self, validator: "ThreadedValidator", record: LogRecord, read: int) -> None: ...
    def on_process_end(self, validator: "ThreadedValidator", error: Exception | None) -> None: ...
    def on_torn(self, validator: "ThreadedValidator") -> None: ...
    def note_port(self, seat: int, what: str, call: str) -> None: ...


class ThreadedValidator(SimValidator):
    """A disk that lasts, and a process of virtual threads that comes and goes. Also what its process reaches (`Reach`,
    `RecordSource`)."""

    host: Host
    points: Points
    news: Bell
    random: Random

    def enter(self, host: Host, random: Random) -> None:
        """Take its place in a world that has a scheduler."""
        self.host, self.random = host, random
        self.process: Process | None = None
        self.driver: SimDriver | None = None
        self.broken: Exception | None = None
        """By what a thread of this life ended that nobody expected."""
        self.files: StoreFiles | None = None
        """Its store, once a process of it has opened one."""
        self._on_way: dict[str, deque[tuple[int, int | None]]] = {}
        """By topic, what was read in this life and the loop has not taken yet: the offset, and, of what was the first
        then, and read after the heal, how many turns had ended."""
        self._turns = 0
        """How many turns of this life have ended."""
        self._told = 0
        """How many checkpoints there were when this life's process last asked for them."""
        self.news = Bell(host.scheduler, "clients' records")
        self.points = Points(
            host.scheduler, random, lambda: self.port_faults, lambda what, call: host.note_port(self.seat, what, call)
        )

    @property
    def scheduler(self) -> Scheduler:
        return self.host.scheduler

    @property
    def log(self) -> SimLog:
        return self.host.log

    @property
    def faults(self) -> Faults:
        return self.host.faults

    @property
    def port_faults(self) -> PortFaults:
        return self.host.port_faults

    def memory(self) -> dict[str, object]:
        """See `SimValidator`; with the queues, the readers and the outbox."""
        return {**super().memory(), "driver": self.driver}

    def gauges(self) -> Mapping[str, int]:
        """See `SimValidator`; as the node's own metrics ask for them."""
        if self.driver is None or not (status := self.driver.status()):
            return {}
        on_their_way, _, _ = self.driver.writing()
        return {**status, "on_their_way": on_their_way}

    def queued(self) -> Mapping[str, Sequence[object]]:
        """What waits for its loop, by input."""
        return {} if self.driver is None else self.driver.queued()

    @property
    def is_running(self) -> bool:
        """Whether it has a process, booted or not."""
        return self.process is not None

    @property
    def is_booting(self) -> bool:
        return self.loop is None

    # --- life ---

    def start(self) -> None:
        """A process starts from what the disk holds."""
        self.broken, self._told, self._turns = None, 0, 0
        self._on_way = {}
        self.processor = Processor(self.scheduler, lambda: self.port_faults.slowness)
        self.process = process = self.scheduler.process(self.name, self._on_thread_end)
        process.paused_until_ms = partial(self.host.busy_until_ms, self.seat)
        VirtualThread(self.scheduler, process, self._main, "main").start()

    def crash(self) -> None:
        """The process is gone, wherever its threads are; the disk stays, but for what was not durable."""
        if self.process is not None:
            self.scheduler.kill(self.process)
        self.process = self.driver = None
        super().crash()
        if self.files is not None:
            self.files.crash()
            if not self.store.was_replaced:
                self.files.show(self.store)

    def close(self) -> None:
        """The world is over."""
        if self.files is not None:
            self.files.crash()

    def _main(self) -> None:
        """As `node.ordering.process` does."""
        threads = VirtualThreads(self.scheduler, cast(Process, self.process))
        on_durable = partial(self.host.on_durable, self.seat)
        self.store.on_durable = self.store.retained.on_durable = on_durable
        stores, stored = self._open_store()
        log = ProcessLog(self, self._genesis.topic)
        intake = self.intake = open_intake(self._genesis, stores, cast(Log, log), self._now_ms, threads)
        ports = Ports(
            genesis=self._genesis,
            committees=Committees.of(self._genesis),
            key=self.key,
            log=cast(Log, log),
            store=stores.writer,
            store_reader=stored,
            intake=intake,
            source=FirstOf([OwnRecords(stores.retained), self]),
            open_journal=self._open_journal,
            lag=self._measure_lag,
            claims=self._claims,
            now_ms=self._now_ms,
            ahead_ms=lambda: self.ahead_ms,
            on_durable=on_durable,
            report=partial(self.host.on_report, self.seat),
            verify=self.processor.verifying(verify_memoised),
            threads=threads,
        )
        self.driver = SimDriver(ports, self._settings, self._make_loop)
        try:
            self.driver.run()
        finally:
            intake.close()

    def _open_store(self) -> tuple[Stores, StoreReader]:
        """The intake's, and one more reader, as ports. Raises: StoreDamaged."""
        if self.files is None:
            on_step = partial(self.host.on_file_step, self.seat)
            folder = self.host.folder / str(self.seat)
            self.files = StoreFiles(folder, self._genesis.partitions, self.random, on_step)
        if self.store.was_replaced:
            self.files.replace_by(self.store)
        store = FiledStore(self.files.open(), self.files.retained(), self.store)
        port = Port(store, "store", self.points, _STORE_ERRORS, _DURABLE, self.store.on_durable)
        for_intake, stored = (cast(StoreReader, self._port(self.files.reader())) for _ in range(2))
        return Stores(cast(StoreWriter, port), for_intake, cast(RetainedRecords, store.retained)), stored

    def _port(self, reader: StoreReader) -> Port:
        return Port(reader, "store", self.points, _STORE_ERRORS)

    def _open_journal(self) -> Journal:
        file = JournalPort(self.journal, self.points, lambda: self.host.on_torn(self))
        on_durable = partial(self.host.on_durable, self.seat)
        return Journal(file, self._genesis.digest, self.key.public_key, on_durable, COMPACT_BYTES)

    def _make_loop(self, ports: LoopPorts, boot: Boot) -> Loop:
        kind = WatchedByzantineLoop if issubclass(self._loop_class, ByzantineLoop) else WatchedLoop
        watched = replace(ports, outbox=WatchedOutbox(ports.outbox, partial(self.host.on_said, self)))
        self.loop = kind(self._on_turn, self._on_take, self.processor, watched, self._settings, boot, self._now_ms())
        self.host.on_up(self)
        return self.loop

    def _now_ms(self) -> int:
        return self.clock.read_ms(self.host.now_ms())

    def _measure_lag(self) -> int:
        self.measured_lag = self.lag
        return self.lag

    def _claims(self) -> Sequence[Checkpoint]:
        if not self.lag:
            self.executor.execute(self.store.finals)
        told, self._told = self._told, len(self.executor.checkpoints)
        return () if told == self._told else self.executor.newest()

    def _on_thread_end(self, thread: VirtualThread) -> None:
        error = thread.error
        assert error is None or isinstance(error, Exception)
        if thread.name == "main":
            self.host.on_process_end(self, error if self.broken is None else self.broken)
        elif error is not None:
            self.broken = error

    # --- what its process reaches ---

    def own_values(self, topic: str, position: int) -> list[bytes]:
        """See `Reach`."""
        self.host.on_own_topic(self)
        return self.host.own_values(self.seat, topic, position)

    def on_read(self, records: Sequence[LogRecord]) -> None:
        """See `Reach`."""
        for record in records:
            on_way = self._on_way.setdefault(record.topic, deque())
            is_first = self.host.is_healed and not on_way
            on_way.append((record.offset, self._turns if is_first else None))
        self.on_fetched(records)

    def on_fetched(self, records: Sequence[LogRecord]) -> None:
        """See `Reach`."""
        self.processor.spend(sum(record_us(record.value) for record in records))
        self.processor.pay()

    def _on_take(self, record: LogRecord) -> None:
        """Between a tail and the loop nothing is lost, doubled, or comes in another order."""
        read, turns = self._on_way[record.topic].popleft()
        if read != record.offset:
            self.host.on_lost_on_way(self, record, read)
        if turns is not None:
            self.host.on_first_taken(self, record.topic, self._turns - turns)

    def _on_turn(self, turn: Turn) -> None:
        self._turns += 1
        self.host.on_turn(self, turn)

    def is_deaf_to(self, topic: str) -> bool:
        """See `Reach`."""
        return self.host.is_deaf_to(self.seat, topic)

    def send(self, topic: str, value: bytes, on_done: Callable[[bool], None] = lambda is_there: None) -> None:
        """See `Reach`."""
        self.host.send_record(self.seat, topic, value, on_done)

    def fetch(self, before: Head, target: Head) -> Sequence[StoredRecord] | None:
        """See `RecordSource`."""
        self.points.before("source.fetch")
        self.points.sleep(FETCH_MS)
        found = self.host.held_by_others(self, before, target)
        self.points.after("source.fetch")
        return found
