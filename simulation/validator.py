"""One simulated validator: the production journal, boot rules and loop over virtual parts."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Protocol

from backbone.intake import Advance
from backbone.store import Entry, StoredFinal
from consensus.blocks import BlockReader
from consensus.boot import Booter
from consensus.errors import Halt
from consensus.events import Fetch, Finalize, Reread
from consensus.journal import Journal, header
from consensus.loop import Loop, LoopPorts, Request, Restarted, all_positions, consensus_topics
from consensus.messages import Block, Wire
from consensus.pace import Settings
from ledger.genesis import Genesis
from simulation.agenda import DriftingClock
from simulation.disk import JournalDisk, StoreDisk
from simulation.signatures import MemoKey, verify_memoised

COMPACT_BYTES = 8 << 10
"""Journals are written anew early, so that crashes meet it."""


class Surroundings(Protocol):
    """What a validator's process sees of the world; each is known by its seat."""

    def own_values(self, seat: int, topic: str, position: int) -> list[bytes]:
        """Everything in its own topic from a position on."""

    def send(self, seat: int, topic: str, value: bytes) -> None:
        """A record leaves; it may or may not arrive."""

    def shown(self, seat: int, partition: int, held: Sequence[Entry], records: int) -> Sequence[Entry]:
        """What the log shows behind what is held of a partition, up to so many records."""

    def request(self, seat: int, request: Request) -> None:
        """Ask its intake; `carry_out` is called when it has come to it, with what others hold of what is asked for."""

    def on_durable(self, seat: int, name: str) -> None:
        """A durable write begins or is over. Raises: Crashed."""

    def on_stored(self, seat: int, final: StoredFinal) -> None:
        """The store has been given a final block."""

    def on_report(self, seat: int, what: str, facts: Mapping[str, object]) -> None:
        """An operator would see this."""


class SimValidator:
    """A disk that lasts, and a process that comes and goes."""

    def __init__(
        self,
        genesis: Genesis,
        index: int,
        seat: int,
        key: MemoKey,
        settings: Settings,
        clock: DriftingClock,
        random: Random,
        world: Surroundings,
        loop_class: type[Loop],
    ) -> None:
        self.index = index
        self.seat = seat
        """The number of this process; the same as `index`, but for the second of two processes with one key."""
        self.key = key
        self.clock = clock
        self.journal = JournalDisk(header(genesis.digest, key.public_key), random)
        self.store = StoreDisk(genesis.partitions, lambda final: world.on_stored(seat, final))
        self.loop: Loop | None = None
        self.halted: Halt | None = None
        self.died: Exception | None = None
        """Of an error that production code should never raise."""
        self.lag = 0
        self.life = 0
        """How often the process has died."""
        self.positions: dict[str, int] = {}
        """From where each topic is read in this life."""
        self.waiting: list[object] = []
        """What was read and not taken yet."""
        self._genesis = genesis
        self._settings = settings
        self._world = world
        self._loop_class = loop_class
        self._told = [0] * genesis.partitions
        self._measured_lag = 0

    @property
    def name(self) -> str:
        """As traces call it."""
        return f"v{self.index}" if self.seat == self.index else f"v{self.index}'"

    @property
    def is_up(self) -> bool:
        return self.loop is not None

    def boot(self, now_ms: int) -> None:
        """Start the process from what the disk holds. Raises: Halt, Crashed."""
        genesis, world, index, seat = self._genesis, self._world, self.index, self.seat

        def on_durable(name: str) -> None:
            world.on_durable(seat, name)

        journal = Journal(self.journal, genesis.digest, self.key.public_key, on_durable, COMPACT_BYTES)
        self.positions = positions = all_positions(genesis, journal.positions)
        own_topic = consensus_topics(genesis)[index]
        own = world.own_values(seat, own_topic, positions[own_topic])
        wire, reader = Wire(genesis, verify_memoised), BlockReader(genesis, verify_memoised)
        boot = Booter(genesis, index, wire, reader, journal).boot(self.store, own, positions)
        ports = LoopPorts(
            genesis=genesis,
            key=self.key,
            index=index,
            journal=journal,
            store=self.store,
            finals=self.store,
            outbox=self,
            on_final=self._on_final,
            request=lambda request: world.request(seat, request),
            on_durable=on_durable,
            report=lambda what, facts: world.on_report(seat, what, facts),
            verify=verify_memoised,
        )
        self.loop = self._loop_class(ports, self._settings, boot, self.clock.read_ms(now_ms))
        heads = boot.restored.delivered.header.heads
        self._told = [self._count_up_to(head.partition, head.end_offset) for head in heads]
        self._tell_all()

    def crash(self) -> None:
        """The process is gone; the disk stays."""
        self.loop = None
        self._measured_lag = 0
        self.waiting = []
        self.life += 1

    def read_records(self, partition: int, records: int) -> None:
        """The intake has read so many records of a partition, stores them durably and tells. Raises: Crashed."""
        held = self.store.records[partition]
        if records > len(held):
            self._world.on_durable(self.seat, "records.before")
            held.extend(self._world.shown(self.seat, partition, held, records))
            self._world.on_durable(self.seat, "records.after")
        self._tell_all()

    def carry_out(self, request: Reread | Fetch, found: Sequence[Entry] | None) -> None:
        """The intake does what it was asked; `found`: what others hold of it. Raises: Crashed."""
        if isinstance(request, Reread):
            self._world.on_durable(self.seat, "aside.before")
            self.store.cut(request.partition, request.from_offset, request.keep_end)
            self._told[request.partition] = len(self.store.records[request.partition])
            self.waiting.append(Restarted(request.partition))
        before = request.before
        if found is not None and before is not None:
            self.store.adopt(before, found)
        self._tell_all()

    def turn(self, now_ms: int) -> None:
        """Take all that waits and end the turn, as the driver does. Raises: Halt, Crashed."""
        loop = self.loop
        assert loop is not None
        shown_ms = self.clock.read_ms(now_ms)
        waiting, self.waiting = self.waiting, []
        for item in waiting:
            loop.take(item, shown_ms)
        if self.lag != self._measured_lag:
            self._measured_lag = self.lag
            loop.measure_lag(self.lag, shown_ms)
        loop.end_turn(shown_ms)

    def wake_ms(self) -> int | None:
        """The moment of virtual time at which a turn is due even if nothing comes."""
        wake_ms = None if self.loop is None else self.loop.wake_ms()
        return None if wake_ms is None else self.clock.moment_ms(wake_ms)

    def send(self, topic: str, value: bytes) -> None:
        """The outbox of the loop."""
        self._world.send(self.seat, topic, value)

    def delivered(self) -> Block | None:
        """The last block that was given to the store, as the core knows it; None while down."""
        return None if self.loop is None else self.loop.core.state.chain.delivered

    def _tell_all(self) -> None:
        for partition, (told, held) in enumerate(zip(self._told, self.store.records, strict=True)):
            if self.loop is not None and len(held) > told:
                self.waiting.append(Advance(partition, 0, tuple(held[told:])))
                self._told[partition] = len(held)

    def _on_final(self, final: Finalize) -> None:
        self.store.settle(final.block.header.heads)

    def _count_up_to(self, partition: int, end_offset: int) -> int:
        return sum(entry.end_offset <= end_offset for entry in self.store.records[partition])
