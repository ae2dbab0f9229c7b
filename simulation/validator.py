"""One simulated validator: the production journal, boot rules and loop over virtual parts."""

from typing import Protocol

from backbone.intake import Advance
from backbone.store import Entry
from consensus.blocks import BlockReader, encode_block
from consensus.boot import Booter
from consensus.journal import Journal, header
from consensus.loop import COMPLETE, Loop, LoopPorts, Restarted, all_positions, consensus_topics
from consensus.messages import Wire
from consensus.pace import Settings
from ledger.genesis import Genesis
from simulation.disk import Crashed, JournalDisk, StoreDisk
from simulation.signatures import MemoKey, verify_memoised


class Surroundings(Protocol):
    """What a validator sees of the world."""

    def values(self, topic: str, position: int) -> list[bytes]:
        """Everything in a topic from a position on."""

    def send(self, sender: int, topic: str, value: bytes) -> None:
        """A record leaves; it may or may not arrive."""

    def entries(self, partition: int, start: int, end: int) -> list[Entry]:
        """The log's records start..end of a partition as the store keeps them."""

    def at_durable(self, validator: int, name: str) -> None:
        """A durable write begins or is over. Raises: Crashed."""

    def note(self, validator: int, what: str, facts: object) -> None:
        """For checkers and the trace."""


class SimValidator:
    """Disk that lasts, and a process that comes and goes."""

    def __init__(
        self,
        genesis: Genesis,
        index: int,
        key: MemoKey,
        settings: Settings,
        world: Surroundings,
        loop_class: type[Loop],
    ) -> None:
        self.index = index
        self.genesis = genesis
        self.key = key
        self.journal = JournalDisk(header(genesis.digest, key.public_key))
        self.store = StoreDisk(genesis.partitions, self._on_stored)
        self.loop: Loop | None = None
        self.lag = 0
        self.halted: str | None = None
        self.inbox: list[object] = []
        self.positions: dict[str, int] = {}
        """From where each topic is read in this life."""
        self._settings = settings
        self._world = world
        self._loop_class = loop_class
        self._told = [0] * genesis.partitions
        self._own_topic = consensus_topics(genesis)[index]

    @property
    def is_up(self) -> bool:
        return self.loop is not None

    def boot(self, now_ms: int) -> None:
        """Start the process from what the disk holds. Raises: Halt, Crashed."""
        self.inbox = []
        journal = Journal(
            self.journal,
            self.genesis.digest,
            self.key.public_key,
            lambda name: self._world.at_durable(self.index, name),
            compact_bytes=8 << 10,
        )
        wire = Wire(self.genesis, verify_memoised)
        reader = BlockReader(self.genesis, verify_memoised)
        positions = all_positions(self.genesis, journal.positions)
        own = self._world.values(self._own_topic, positions[self._own_topic])
        booter = Booter(self.genesis, self.index, wire, reader, journal)
        boot = booter.boot(self.store, self.store, own, positions, positions[COMPLETE])
        ports = LoopPorts(
            genesis=self.genesis,
            key=self.key,
            index=self.index,
            journal=journal,
            store=self.store,
            outbox=self,
            on_final=lambda final: None,
            request_reread=self._request_reread,
            on_durable=lambda name: self._world.at_durable(self.index, name),
            report=lambda what, facts: self._world.note(self.index, what, facts),
            verify=verify_memoised,
        )
        self.positions = positions
        self.loop = self._loop_class(ports, self._settings, boot, now_ms)
        self._told = [head.end_offset for head in boot.restored.delivered.header.heads]
        self._tell_all()

    def crash(self) -> None:
        """The process is gone; the disk stays."""
        self.loop = None
        self.inbox = []

    def read_records(self, partition: int, end: int) -> None:
        """The intake has read and stored everything up to `end`."""
        if end > self.store.records[partition]:
            self.store.records[partition] = end
        self._tell_all()

    def turn(self, now_ms: int) -> None:
        """Take the inbox and end the turn. Raises: Halt, Crashed."""
        loop = self.loop
        if loop is None:
            raise Crashed
        inbox, self.inbox = self.inbox, []
        for item in inbox:
            loop.take(item, now_ms)
        loop.measure_lag(self.lag, now_ms)
        loop.end_turn(now_ms)

    def send(self, topic: str, value: bytes) -> None:
        """The outbox of the loop."""
        self._world.send(self.index, topic, value)

    def _tell_all(self) -> None:
        for partition, (told, held) in enumerate(zip(self._told, self.store.records, strict=True)):
            if self.loop is not None and held > told:
                self.inbox.append(Advance(partition, 0, tuple(self._world.entries(partition, told, held))))
                self._told[partition] = held

    def _request_reread(self, partition: int, from_offset: int) -> None:
        self.inbox.append(Restarted(partition))
        self._told[partition] = from_offset
        self._tell_all()

    def _on_stored(self, height: int, header_bytes: bytes, proof: bytes) -> None:
        self._world.note(self.index, "final", encode_block(header_bytes, proof))
