"""The log of a world: topics that delay, lose, duplicate, reorder and hide, and partitions of clients' records.

What one reader gets of one topic is in order, as with a real log; everything else may come in any order.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from backbone.log import LogRecord
from backbone.store import Entry
from ledger import digests
from simulation.agenda import Agenda
from simulation.faults import Faults, chance

RECORD_BYTES: Final = 100
"""What a client's record is said to weigh."""


class TopicReader:
    """One validator's reading of one topic, from its boot to its crash."""

    __slots__ = ("cursor", "deliver", "index", "is_open", "ready_ms", "topic")

    def __init__(self, index: int, topic: str, cursor: int, deliver: Callable[[LogRecord], None]) -> None:
        self.index = index
        self.topic = topic
        self.cursor = cursor
        self.deliver = deliver
        self.ready_ms = 0
        self.is_open = True


class SimLog:
    """All topics. `faults` may be changed at any time."""

    def __init__(self, agenda: Agenda, random: Random, faults: Faults, owners: Mapping[str, int | None]) -> None:
        """`owners`: every topic, with the validator that writes it (None: all do)."""
        self.faults = faults
        self.appended = 0
        self.partitions: list[list[Entry]] = []
        self.is_hidden: Callable[[int, int], bool] = lambda writer, reader: False
        """Whether a writer's next record is kept from a reader for good: adversaries collude with the log."""
        self.on_append: Callable[[str, bytes], None] = lambda topic, value: None
        self._agenda = agenda
        self._random = random
        self._owners = dict(owners)
        self._topics: dict[str, list[bytes]] = {topic: [] for topic in owners}
        self._readers: dict[str, list[TopicReader]] = {topic: [] for topic in owners}
        self._cut_until_ms: dict[int, int] = {}
        self._split_until_ms = 0
        self._side: frozenset[int] = frozenset()

    # --- faults ---

    def cut(self, index: int, until_ms: int) -> None:
        """Nothing gets from or to a validator for a while."""
        self._cut_until_ms[index] = until_ms

    def split(self, side: frozenset[int], until_ms: int) -> None:
        """Validators on `side` and all others see nothing of each other for a while."""
        self._side, self._split_until_ms = side, until_ms

    def heal(self, faults: Faults) -> None:
        """From now on nothing stands in the way."""
        self.faults = faults
        self._cut_until_ms.clear()
        self._split_until_ms = 0

    # --- consensus topics and blocks ---

    def values(self, topic: str, position: int) -> list[bytes]:
        """Everything in a topic from a position on."""
        return self._topics[topic][position:]

    def send(self, sender: int, topic: str, value: bytes, is_alive: Callable[[], bool]) -> None:
        """A record leaves. If its sender dies before it arrives, it may be lost with it."""
        held_up_ms = max(0, self._cut_until_ms.get(sender, 0) - self._agenda.now_ms)
        if chance(self._random, self.faults.lose) or (held_up_ms and self._random.randrange(2)):
            return
        for _ in range(2 if chance(self._random, self.faults.duplicate) else 1):
            at_ms = self._agenda.now_ms + held_up_ms + self._delay_ms()
            self._agenda.plan(at_ms, self._append, topic, value, is_alive)

    def read(self, index: int, positions: Mapping[str, int], deliver: Callable[[LogRecord], None]) -> None:
        """Read every topic for a validator, from its positions on, until `stop`."""
        for topic, values in self._topics.items():
            reader = TopicReader(index, topic, min(positions[topic], len(values)), deliver)
            self._readers[topic].append(reader)
            self._fetch(reader)

    def read_again(self, index: int, topic: str, position: int) -> None:
        """Let a validator read a topic on from an earlier position."""
        for reader in self._readers[topic]:
            if reader.index == index:
                reader.cursor = min(reader.cursor, position)
                self._fetch(reader)

    def stop(self, index: int) -> None:
        """A validator reads no more, not even what is on its way."""
        for topic, readers in self._readers.items():
            for reader in readers:
                reader.is_open = reader.is_open and reader.index != index
            self._readers[topic] = [reader for reader in readers if reader.is_open]

    def _append(self, topic: str, value: bytes, is_alive: Callable[[], bool]) -> None:
        if not is_alive() and self._random.randrange(2):
            return
        self._topics[topic].append(value)
        self.appended += 1
        self.on_append(topic, value)
        for reader in self._readers[topic]:
            self._fetch(reader)

    def _fetch(self, reader: TopicReader) -> None:
        values, owner = self._topics[reader.topic], self._owners[reader.topic]
        while reader.cursor < len(values):
            offset = reader.cursor
            reader.cursor += 1
            if self._is_missed(owner, reader.index):
                continue
            reader.ready_ms = max(
                reader.ready_ms, self._agenda.now_ms + self._delay_ms(), self._blocked_ms(owner, reader.index)
            )
            record = LogRecord(reader.topic, 0, offset, None, values[offset])
            self._agenda.plan(reader.ready_ms, self._deliver, reader, record)

    def _deliver(self, reader: TopicReader, record: LogRecord) -> None:
        if reader.is_open:
            reader.deliver(record)

    def _is_missed(self, owner: int | None, reader: int) -> bool:
        return chance(self._random, self.faults.miss) or (owner is not None and self.is_hidden(owner, reader))

    def _blocked_ms(self, owner: int | None, reader: int) -> int:
        """Until when a reader sees nothing of a writer."""
        is_apart = owner is not None and (owner in self._side) != (reader in self._side)
        return max(self._cut_until_ms.get(reader, 0), self._split_until_ms if is_apart else 0)

    def _delay_ms(self) -> int:
        return self._random.randrange(1, self.faults.delay_ms_max + 2)

    # --- clients' records ---

    def open_partitions(self, genesis_digest: bytes, partitions: int) -> None:
        """Empty partitions of transactions."""
        self._starts = [digests.chain_start(genesis_digest, partition) for partition in range(partitions)]
        self.partitions = [[] for _ in range(partitions)]
        self._values: list[list[bytes]] = [[] for _ in range(partitions)]

    def produce(self, partition: int, value: bytes) -> None:
        """A client's record is appended. Now and then the log leaves a gap before it, for a control record."""
        entries = self.partitions[partition]
        before = entries[-1].chain_digest if entries else self._starts[partition]
        offset = (entries[-1].end_offset if entries else 0) + (self._random.randrange(8) == 0)
        digest_of_value = digests.value_digest(value)
        entries.append(Entry(offset + 1, digests.chain_next(before, 0, offset, digest_of_value), RECORD_BYTES))
        self._values[partition].append(digest_of_value)

    def fetch_records(self, index: int, take: Callable[[int, int], None]) -> None:
        """Let a validator read, after a while, all records that are there now: (partition, records of it)."""
        for partition, entries in enumerate(self.partitions):
            slow_ms = self._random.randrange(self.faults.slow_intake_ms_max + 1)
            at_ms = max(self._agenda.now_ms + slow_ms + self._delay_ms(), self._cut_until_ms.get(index, 0))
            self._agenda.plan(at_ms, take, partition, len(entries))

    def shown(self, index: int, partition: int, held: Sequence[Entry], records: int) -> tuple[list[Entry], bool]:
        """What a validator reads behind what it holds, up to so many records; and whether the log misleads it."""
        found, is_misled = list(held), False
        for number in range(len(held), records):
            end_offset, digest_of_value = self.partitions[partition][number].end_offset, self._values[partition][number]
            if chance(self._random, self.faults.mislead):
                digest_of_value, is_misled = digests.value_digest(b"a lie for v%d" % index), True
            before = found[-1].chain_digest if found else self._starts[partition]
            digest = digests.chain_next(before, 0, end_offset - 1, digest_of_value)
            found.append(Entry(end_offset, digest, RECORD_BYTES))
        return found[len(held) :], is_misled

    def reread(self, index: int, act: Callable[[int, int], None], partition: int, from_offset: int) -> None:
        """Call `act(partition, from_offset)` when a validator's intake has come to it."""
        slow_ms = self._random.randrange(self.faults.slow_intake_ms_max + 1)
        self._agenda.plan(self._agenda.now_ms + slow_ms + self._delay_ms(), act, partition, from_offset)
