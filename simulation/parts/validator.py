"""One simulated validator: the production journal, boot rules, intake and loop over virtual parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from backbone.intake.intake import Intake
from backbone.store import StoredFinal, StoredRecord
from consensus.core.events import Fetch, Reread
from consensus.core.timers import ConsensusSettings
from consensus.runtime.boot import Booter
from consensus.runtime.errors import ValidatorHalt
from consensus.runtime.journal import Journal, header
from consensus.runtime.loop import Claims, Loop, Restarted
from consensus.runtime.ports import LoopPorts, Request
from consensus.wire.final_blocks import BlockReader
from consensus.wire.messages import Block, Wire
from consensus.wire.topics import all_positions, consensus_topics
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.header import Head
from simulation.parts.agenda import DriftingClock
from simulation.parts.disk import JournalDisk
from simulation.parts.executor import SimExecutor
from simulation.parts.intake import SeatLog, in_memory, open_intake, pump
from simulation.parts.signatures import MemoKey, verify_memoised
from simulation.parts.store import SimStore, header_of

COMPACT_BYTES = 8 << 10
"""Journals are written anew early, so that crashes meet it."""


class Surroundings(Protocol):
    """What a validator's process sees of the world; each is known by its seat."""

    def own_values(self, seat: int, topic: str, position: int) -> list[bytes]:
        """Everything in its own topic from a position on."""

    def send(self, seat: int, topic: str, value: bytes) -> None:
        """A record leaves; it may or may not arrive."""

    def brokers(self, seat: int) -> SeatLog:
        """What the brokers show to it of the partitions of clients' records."""

    def now_ms(self) -> int:
        """Virtual time."""

    def request(self, seat: int, request: Request) -> None:
        """Ask its intake; `carry_out` is called when it has come to it, with what others hold of what is asked for."""

    def on_durable(self, seat: int, name: str) -> None:
        """A durable write begins or is over. Raises: Crashed."""

    def on_stored(self, seat: int, final: StoredFinal) -> None:
        """The store has been given a final block."""

    def on_report(self, seat: int, what: str, facts: Mapping[str, object]) -> None:
        """An operator would see this."""


@dataclass(frozen=True, slots=True)
class FinalChain:
    """What is final of a partition's current incarnation: where it lies, and its records (offset, value)."""

    topic_id: str
    from_offset: int
    records: list[tuple[int, bytes | None]]


class SimValidator:
    """A disk that lasts, and a process that comes and goes."""

    def __init__(
        self,
        genesis: Genesis,
        wire: Wire,
        index: int,
        seat: int,
        key: MemoKey,
        settings: ConsensusSettings,
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
        self.store = SimStore(genesis, lambda final: world.on_stored(seat, final))
        self.executor = SimExecutor(genesis)
        self.loop: Loop | None = None
        self.intake: Intake | None = None
        self.halted: ValidatorHalt | None = None
        self.died: Exception | None = None
        """Of an error that production code should never raise."""
        self.lag = 0
        self.ahead_ms = 0
        """How far its time of day is ahead of its clock, since somebody set it wrong."""
        self.furthest_ms = 0
        """The furthest that it ever was so."""
        self.life = 0
        """How often the process has died."""
        self.positions: dict[str, int] = {}
        """From where each topic is read in this life."""
        self.waiting: list[object] = []
        """What was read and not taken yet."""
        self._genesis = genesis
        self._wire = wire
        self._settings = settings
        self._world = world
        self._loop_class = loop_class
        self.measured_lag = 0
        self._final_heads: dict[int, tuple[int, str, int, Head]] = {}
        """By partition: up to which height its final head was looked for, topic id and first offset of its incarnation,
        and the head."""

    @property
    def name(self) -> str:
        """As traces call it."""
        return f"v{self.index}" if self.seat == self.index else f"v{self.index}'"

    @property
    def is_up(self) -> bool:
        return self.loop is not None

    def boot(self, now_ms: int) -> None:
        """Start the process from what the disk holds. Raises: ValidatorHalt, Crashed."""
        genesis, world, index, seat = self._genesis, self._world, self.index, self.seat
        committees = Committees.of(genesis)

        def on_durable(name: str) -> None:
            world.on_durable(seat, name)

        journal = Journal(self.journal, genesis.digest, self.key.public_key, on_durable, COMPACT_BYTES)
        self.positions = positions = all_positions(genesis, committees.current, journal.positions)
        own_topic = consensus_topics(genesis, committees.current)[index]
        own = world.own_values(seat, own_topic, positions[own_topic])
        reader = BlockReader(genesis, committees, verify_memoised)
        boot = Booter(genesis, self.key.public_key, self._wire, reader, journal).boot(self.store, own, positions)
        self.store.on_durable = self.store.retained.on_durable = on_durable
        intake = open_intake(
            genesis, in_memory(self.store), world.brokers(seat), lambda: self.clock.read_ms(world.now_ms())
        )
        intake.on_final(boot.restored.delivered.header.heads, ())
        self.intake = intake
        ports = LoopPorts(
            genesis=genesis,
            committees=committees,
            key=self.key,
            index=index,
            journal=journal,
            store=self.store,
            finals=self.store,
            outbox=self,
            on_final=lambda final: intake.on_final(final.block.header.heads, final.block.header.openings),
            request=lambda request: world.request(seat, request),
            on_durable=on_durable,
            report=lambda what, facts: world.on_report(seat, what, facts),
            verify=verify_memoised,
        )
        self.loop = self._loop_class(ports, self._settings, boot, self.clock.read_ms(now_ms))
        self.waiting += intake.backlog()
        self.waiting.append(Claims(self.executor.newest()))

    def memory(self) -> dict[str, object]:
        """What of its process may hold things, by name."""
        return {"loop": self.loop, "intake": self.intake}

    def gauges(self) -> Mapping[str, int]:
        """What its process says of itself; empty while it is down or boots."""
        return {} if self.loop is None else self.loop.status()

    def crash(self) -> None:
        """The process is gone; the disk stays."""
        self.loop = self.intake = None
        self.store.crash()
        self.measured_lag = 0
        self.waiting = []
        self.life += 1

    def read_records(self) -> None:
        """The intake reads what the log has, and tells. Raises: Crashed."""
        assert self.intake is not None
        self.waiting += pump(self.intake)

    def carry_out(self, request: Reread | Fetch, found: Sequence[StoredRecord] | None) -> None:
        """The intake does what it was asked; `found`: what others hold of it. Raises: Crashed."""
        intake = self.intake
        assert intake is not None
        if isinstance(request, Fetch):
            self.waiting += intake.adopt(request.before, found or ())
            return
        advances = intake.reread(
            request.partition, request.incarnation, request.from_offset, request.keep_end, request.before, found or ()
        )
        self.waiting += [Restarted(request.partition), *advances]

    def turn(self, now_ms: int) -> None:
        """Take all that waits and end the turn, as the driver does. Raises: ValidatorHalt, Crashed."""
        loop = self.loop
        assert loop is not None
        shown_ms = self.clock.read_ms(now_ms)
        waiting, self.waiting = self.waiting, []
        for item in waiting:
            loop.take(item, shown_ms)
        if self.lag != self.measured_lag:
            self.measured_lag = self.lag
            loop.measure_lag(self.lag, shown_ms)
        loop.set_clock(self.ahead_ms, shown_ms)
        if not self.lag and self.executor.execute(self.store.finals):
            loop.take(Claims(self.executor.newest()), shown_ms)
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

    def final_chain(self, partition: int) -> FinalChain:
        """What its store holds of a partition below the last final head, in the incarnation of that head."""
        height, topic_id, from_offset, head = self._final_heads.get(partition, self._genesis_head(partition))
        for final in self.store.finals[height:]:
            header = header_of(final.header_bytes, self._genesis.partitions)
            head = header.heads[partition]
            for opening in header.openings:
                if opening.partition == partition:
                    topic_id, from_offset = opening.topic_id, opening.from_offset
        self._final_heads[partition] = (len(self.store.finals), topic_id, from_offset, head)
        found = self.store.records(partition, from_offset, head.end_offset, head.incarnation)
        return FinalChain(topic_id, from_offset, [(record.offset, record.value) for record in found])

    def _genesis_head(self, partition: int) -> tuple[int, str, int, Head]:
        return 0, self._genesis.topic_id, 0, self._genesis.empty_heads()[partition]
