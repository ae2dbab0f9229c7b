"""Runs the core over real ports: reads, steps, makes durable, then sends. One loop thread decides everything.

A turn of the loop: take what the reading threads have queued, step the core through it, signing as it asks; then one
commit of the journal; only then send, give final blocks to the store, and publish them. So however much a turn holds,
it costs the journal one sync.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from queue import Empty, Queue
from threading import Event as Flag
from typing import Final

from backbone.intake import Advance
from backbone.log import Log, LogRecord, PositionLost, TopicMissing
from backbone.store import Entry, StoreDamaged, StoreFailed, StoreReader, StoreWriter, ValueTooLarge
from consensus import events
from consensus.blocks import BlockReader, encode_block
from consensus.boot import restore, unpublished, unsent
from consensus.core import Core
from consensus.errors import Halt, SecondInstance
from consensus.journal import Journal
from consensus.keeper import BlocksKeeper
from consensus.messages import Wire
from consensus.outbox import Outbox
from consensus.pace import Settings
from consensus.readers import Failed, IntakePort, Reading, TopicTail, read_to_end
from ledger import digests
from ledger.genesis import Genesis
from ledger.keys import PrivateKey, verify
from ledger.rejection import Rejection

QUEUE_MAX: Final = 4_096
"""Batches that the reading threads may be ahead of the loop."""
TURN_EVENTS_MAX: Final = 1_000
TICK_MS: Final = 100
POSITIONS_MS: Final = 60_000
VERIFIED_MAX: Final = 8_192
_COMPLETE: Final = "#complete-height"

__all__ = ["Driver", "Halt", "Ports", "Settings"]

_FATAL: Final = (PositionLost, TopicMissing, StoreFailed, StoreDamaged, ValueTooLarge)


@dataclass(frozen=True, slots=True)
class Ports:
    """What the driver runs over. `node.order` builds these, and closes them after `run` has returned."""

    genesis: Genesis
    key: PrivateKey
    log: Log
    store: StoreWriter
    store_reader: StoreReader
    """The driver's own; the intake has another."""
    intake: IntakePort
    journal_path: Path
    lag: Callable[[], int]
    """Records that the executor is behind the last final block; asked about ten times a second."""
    now_ms: Callable[[], int]
    """Milliseconds since the Unix epoch that never go back (`consensus.clock.SteadyClock().now_ms`)."""
    on_durable: Callable[[str], None] = field(default=lambda name: None)
    """Fault point of tests: "journal.before", "journal.after", "compact.before", "store.before", "store.after", .."""
    report: Callable[[str, Mapping[str, object]], None] = field(default=lambda what, facts: None)
    """Told of what an operator should see: "evidence", "reread"."""


class Driver:
    """One validator's consensus, from boot to stop.

    Raises from `run`: Halt (`consensus.errors`: journal lost or rolled back, second instance, fork), PositionLost,
    TopicMissing, StoreDamaged, StoreFailed, ValueTooLarge (all: do not restart, show the message); LogUnavailable (at
    boot only: build new ports and run again).
    """

    def __init__(self, ports: Ports, settings: Settings) -> None:
        """Raises: ValueError, if the key is not that of a validator."""
        genesis = ports.genesis
        keys = [validator.consensus_key for validator in genesis.validators]
        if ports.key.public_key not in keys:
            raise ValueError("The key is not that of a validator of this chain.")
        verified = lru_cache(VERIFIED_MAX)(verify)
        self._ports = ports
        self._settings = settings
        self._verify = verified
        self._index = keys.index(ports.key.public_key)
        self._wire = Wire(genesis, verified)
        self._reader = BlockReader(genesis, verified)
        self._topics = [genesis.topic_name(f"consensus.{validator.name}") for validator in genesis.validators]
        self._blocks_topic = genesis.topic_name("blocks")
        self._items: Queue[object] = Queue(QUEUE_MAX)
        self._stop = Flag()
        self._positions: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._timer: int | None = None
        self._finals: list[events.Finalize] = []
        self._sends: list[bytes] = []
        self._rereads: list[int] = []
        self._advances: dict[int, list[Entry]] = {}
        self._lag_due_ms = self._positions_due_ms = 0

    def run(self) -> None:
        """Boot, then decide until `stop`."""
        ports = self._ports
        self._journal = Journal(ports.journal_path, ports.genesis.digest, ports.key.public_key, ports.on_durable)
        try:
            self._outbox = Outbox(ports.log.producer())
            self._boot()
            self._reading = Reading(self._items)
            try:
                self._start_reading()
                while not self._stop.is_set():
                    self._turn()
            finally:
                self._reading.stop()
                self._outbox.close(2_000)
        finally:
            self._journal.close()

    def stop(self) -> None:
        """Ask the loop to end after its turn: what was signed is durable and sent, what is final is stored."""
        self._stop.set()

    def status(self) -> dict[str, int]:
        """Gauges for the page and the metrics; from any thread."""
        return {
            "view": self._core.view,
            "final_view": self._core.final_view,
            "height": self._core.delivered.header.height,
            "queue": self._items.qsize(),
            **self._counts,
            **{f"refused_{name}": count for name, count in self._core.refusals().items()},
        }

    # --- boot ---

    def _boot(self) -> None:
        ports = self._ports
        restored = restore(ports.genesis, self._wire, self._reader, self._journal, ports.store)
        floor = 0 if restored.last is None else restored.last.finalization.view
        self._positions = dict.fromkeys((*self._topics, self._blocks_topic, _COMPLETE), 0)
        self._positions.update(self._journal.positions)
        own_topic = self._topics[self._index]
        seen = read_to_end(ports.log, own_topic, self._positions[own_topic])
        for value in unsent(self._wire, self._index, floor, self._journal, [record.value for record in seen]):
            self._outbox.send(own_topic, value)
        self._keeper = BlocksKeeper(self._reader, self._publish, self._settings.blocks_delay_ms)
        for height, header_bytes, proof in unpublished(ports.store_reader, self._positions[_COMPLETE]):
            digest = digests.block_digest(ports.genesis.digest, header_bytes)
            value = encode_block(header_bytes, proof)
            self._keeper.on_final(height, digest, value, is_own=False, now_ms=ports.now_ms())
        ports.intake.on_final(restored.delivered.header.heads)
        self._core = Core(ports.genesis, self._index, self._settings, restored, self._verify)
        self._step(events.Started(ports.now_ms()))
        for advance in ports.intake.backlog():
            self._on_item(advance)

    def _start_reading(self) -> None:
        for topic in (*self._topics, self._blocks_topic):
            tail = TopicTail(self._ports.log, topic, self._positions[topic], self._reading.put)
            self._reading.start(f"read {topic}", tail.read, tail.close, _FATAL)
        self._reading.start("intake", self._pump, lambda: None, _FATAL)

    def _pump(self) -> None:
        advances = self._ports.intake.pump(self._settings.read_records_max, TICK_MS)
        if advances:
            self._reading.put(tuple(advances))

    # --- a turn ---

    def _turn(self) -> None:
        """Wait for something, take all that is there, then commit and let out."""
        item = self._next_item()
        count = 0
        while item is not None:
            self._on_item(item)
            count += 1
            item = None if count >= TURN_EVENTS_MAX or self._items.empty() else self._items.get_nowait()
        self._tell_advances()
        self._on_time()
        self._let_out()

    def _next_item(self) -> object | None:
        try:
            return self._items.get(timeout=self._patience_ms() / 1000)
        except Empty:
            return None

    def _patience_ms(self) -> int:
        due = [at_ms for at_ms in (self._timer, self._keeper.next_ms()) if at_ms is not None]
        return max(0, min(TICK_MS, min(due, default=TICK_MS * 10**10) - self._ports.now_ms()))

    def _on_item(self, item: object) -> None:
        match item:
            case Advance():
                self._advances.setdefault(item.partition, []).extend(item.entries)
            case tuple():
                for part in item:
                    self._on_item(part)
            case LogRecord():
                self._on_record(item)
            case Failed(error):
                raise error
            case _:
                raise AssertionError(f"unknown item {item!r}")

    def _tell_advances(self) -> None:
        """Tell the core of all that a turn found in the store at once: it makes one block of it."""
        if self._advances:
            entries, self._advances = self._advances, {}
            self._step(events.HeadsAdvanced(self._ports.now_ms(), entries))

    def _on_record(self, record: LogRecord) -> None:
        now_ms = self._ports.now_ms()
        if record.topic == self._blocks_topic:
            self._on_block(record, now_ms)
        else:
            self._step(events.MessageRead(now_ms, record.value))
        self._positions[record.topic] = record.offset + 1

    def _on_block(self, record: LogRecord, now_ms: int) -> None:
        proven = self._reader.read(record.value)
        if isinstance(proven, Rejection):
            self._counts["bad_blocks"] += 1
            return
        self._keeper.on_block(proven)
        if proven.block.header.height > self._core.delivered.header.height:
            self._step(events.BlockRead(now_ms, record.value))

    def _on_time(self) -> None:
        now_ms = self._ports.now_ms()
        if self._timer is not None and now_ms >= self._timer:
            self._timer = None
            self._step(events.TimerFired(now_ms))
        if now_ms >= self._lag_due_ms:
            self._lag_due_ms = now_ms + TICK_MS
            self._step(events.LagMeasured(now_ms, self._ports.lag()))
        self._keeper.on_time(now_ms)
        self._note_positions(now_ms)

    def _note_positions(self, now_ms: int) -> None:
        """Write now and then how far we have read, so that a start after a long silence finds its place."""
        if now_ms >= self._positions_due_ms:
            self._positions_due_ms = now_ms + POSITIONS_MS
            positions = self._current_positions()
            changed = {topic: at for topic, at in positions.items() if self._journal.positions.get(topic) != at}
            self._journal.add_positions(changed)

    def _current_positions(self) -> dict[str, int]:
        return {**self._positions, _COMPLETE: self._keeper.complete_height}

    def _step(self, event: events.Event) -> None:
        """Step the core; what it signs comes back to it before anything else."""
        waiting = deque([event])
        while waiting:
            for action in self._core.step(waiting.popleft()):
                match action:
                    case events.Sign(statement):
                        signature = self._ports.key.sign(self._wire.signing_bytes(statement))
                        message = replace(statement, signature=signature)
                        self._journal.add_own(message.view, self._wire.encode(message))
                        waiting.append(events.Signed(event.now_ms, message))
                    case events.Finalize():
                        self._finals.append(action)
                        value = encode_block(action.block.header_bytes, action.block.proof)
                        self._journal.add_final(action.view, value, action.checkpoint)
                    case _:
                        self._carry_out(action)

    def _carry_out(self, action: events.Action) -> None:
        match action:
            case events.Send(message):
                self._sends.append(self._wire.encode(message))
            case events.SetTimer(at_ms):
                self._timer = at_ms
            case events.Reread(partition):
                self._rereads.append(partition)
            case events.Evidence(validator, first, second):
                self._counts["evidence"] += 1
                facts = {"validator": validator, "first": self._wire.encode(first), "second": self._wire.encode(second)}
                self._ports.report("evidence", facts)
            case events.Stop(why):
                raise SecondInstance(f"{why}. Nothing more is signed here until an operator has looked into it.")

    # --- letting out ---

    def _let_out(self) -> None:
        """The only place from which anything of ours leaves: after the journal's commit."""
        own_topic = self._topics[self._index]
        for value in self._journal.commit():
            self._outbox.send(own_topic, value)
        sends, self._sends = self._sends, []
        for value in sends:
            self._outbox.send(own_topic, value)
        self._outbox.pump()
        finals, self._finals = self._finals, []
        for final in finals:
            self._store_final(final)
        self._reread()
        self._outbox.pump()
        if self._journal.is_grown:
            self._journal.compact(self._current_positions())

    def _store_final(self, final: events.Finalize) -> None:
        block = final.block
        self._ports.on_durable("store.before")
        self._ports.store.append_final(block.header.height, block.header_bytes, block.proof)
        self._ports.on_durable("store.after")
        self._ports.intake.on_final(block.header.heads)
        value = encode_block(block.header_bytes, block.proof)
        self._keeper.on_final(block.header.height, block.digest, value, final.is_own, self._ports.now_ms())

    def _reread(self) -> None:
        rereads, self._rereads = self._rereads, []
        for partition in rereads:
            head = self._core.delivered.header.heads[partition]
            self._ports.report("reread", {"partition": partition, "from_offset": head.end_offset})
            self._ports.intake.reread(partition, head.end_offset)

    def _publish(self, value: bytes) -> None:
        self._outbox.send(self._blocks_topic, value)
