"""The log of a world: topics that delay, lose, duplicate, reorder and hide, and partitions of clients' records.

What one process gets of one topic is in order, as with a real log; everything else may come in any order.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, TypeVar

from backbone.log import LogRecord
from consensus.runtime.loop import TopicRestarted
from simulation.parts.agenda import Agenda
from simulation.parts.faults import Faults, chance
from simulation.parts.intake import SeatLog
from simulation.parts.partitions import BrokerView

ON_WAY_MAX: Final = 256
"""Records of one topic that are on their way to one process."""
FULL_MS: Final = 10

Asked = TypeVar("Asked")
Told = LogRecord | TopicRestarted
"""What a process is told of a topic."""


@dataclass(slots=True, eq=False)
class Sending:
    """A record on its way to the log."""

    sender: int
    topic: str
    value: bytes
    is_alive: Callable[[], bool]
    on_done: Callable[[bool], None]
    """Told whether it came into the log."""


class TopicReader:
    """One process's reading of one topic, from its boot to its end."""

    __slots__ = ("cursor", "deliver", "is_full", "is_open", "on_way", "ready_ms", "seat", "topic")

    def __init__(self, seat: int, topic: str, cursor: int, deliver: Callable[[Told], None]) -> None:
        self.seat = seat
        self.topic = topic
        self.cursor = cursor
        self.deliver = deliver
        self.is_full: Callable[[], bool] = lambda: False
        """Whether nothing is taken now."""
        self.ready_ms = 0
        self.is_open = True
        self.on_way: deque[Told] = deque()
        """Fetched and not delivered yet, in order."""


class SimLog:
    """All topics. Processes are known by their seat. `faults` may be changed at any time."""

    def __init__(self, agenda: Agenda, random: Random, faults: Faults, topics: Mapping[str, bool]) -> None:
        """`topics`: every topic, and whether it is one validator's own."""
        self.faults = faults
        self.appended: Counter[int] = Counter()
        """Records in all topics, by the seat that wrote them."""
        self.struck: Counter[str] = Counter()
        """How often its faults struck, beside delays."""
        self.written: set[tuple[str, int, int, bytes]] = set()
        """Every record that clients ever wrote: (topic id, partition, offset, value)."""
        self.lies: set[tuple[str, int, int, bytes]] = set()
        """What a log that misleads showed to somebody in place of them. One with more than a third of the power and
        adversaries together may make that final: no client has signed it, so it is rejected as it executes."""
        self.views: list[BrokerView] = []
        """What the brokers show of each partition now."""
        self.is_hidden: Callable[[str, int, int, bytes], bool] = lambda topic, writer, reader, value: False
        """Whether a writer's record is kept from a reader for good: adversaries collude with the log."""
        self.is_withheld: Callable[[str, int, int, int], bool] = lambda topic_id, partition, offset, reader: False
        """Whether a client's record, and what lies behind it, is kept from a reader for now."""
        self.on_append: Callable[[str, bytes], None] = lambda topic, value: None
        self._agenda = agenda
        self._random = random
        self._is_own = dict(topics)
        self._topics: dict[str, list[tuple[bytes, int]]] = {topic: [] for topic in topics}
        self._begins = dict.fromkeys(topics, 0)
        """The first offset of each topic that is still there."""
        self._readers: dict[str, list[TopicReader]] = {topic: [] for topic in topics}
        self._sendings: dict[Sending, None] = {}
        self._cut_until_ms: dict[int, int] = {}
        self._split_until_ms = 0
        self._side: frozenset[int] = frozenset()

    @property
    def now_ms(self) -> int:
        """Virtual time."""
        return self._agenda.now_ms

    @property
    def is_faithful(self) -> bool:
        """Whether it has shown to everybody what clients wrote, as they wrote it, up to now."""
        is_whole = not any(view.truncations or len(view.topic_ids) > 1 for view in self.views)
        return is_whole and not self.lies and not self.struck["a record is withheld"]

    # --- faults ---

    def cut(self, seat: int, until_ms: int) -> None:
        """Nothing gets from or to a process for a while."""
        self._cut_until_ms[seat] = until_ms

    def split(self, side: frozenset[int], until_ms: int) -> None:
        """Processes on `side` and all others see nothing of each other for a while."""
        self._side, self._split_until_ms = side, until_ms

    def heal(self, faults: Faults) -> None:
        """From now on nothing stands in the way; what is on its way arrives within `faults.delay_ms_max`."""
        self.faults = faults
        self._cut_until_ms.clear()
        self._split_until_ms = 0
        for sending in self._sendings:
            self._agenda.plan(self._agenda.now_ms + self._delay_ms(), self._arrive, sending)
        for reader in (reader for readers in self._readers.values() for reader in readers):
            reader.ready_ms = self._agenda.now_ms + self._delay_ms()
            for _ in reader.on_way:
                self._agenda.plan(reader.ready_ms, self._deliver, reader)

    # --- consensus topics and blocks ---

    def values(self, topic: str, position: int) -> list[bytes]:
        """Everything in a topic from a position on; from its beginning, where that position is gone."""
        return [value for value, _ in self._topics[topic][self._found(topic, position) :]]

    def begin_with(self, topic: str, values: Iterable[bytes], writer: int) -> None:
        """What a topic holds when the world begins."""
        self._topics[topic] = [(value, writer) for value in values]

    def retain(self, topic: str, share: float) -> None:
        """The oldest records of a topic, so many of those that it has, are deleted."""
        begin = self._begins[topic]
        self._begins[topic] = begin + int(share * (len(self._topics[topic]) - begin))
        self._restart_lost(topic)

    def remake(self, topic: str) -> None:
        """A topic is deleted, and made anew under its name."""
        self._topics[topic], self._begins[topic] = [], 0
        self._restart_lost(topic)

    def _found(self, topic: str, position: int) -> int:
        """A position that is there: where it is gone, the beginning."""
        return position if self._begins[topic] <= position <= len(self._topics[topic]) else self._begins[topic]

    def _restart_lost(self, topic: str) -> None:
        """Processes whose position is gone begin anew, behind what they have fetched already."""
        for reader in self._readers[topic]:
            if (found := self._found(topic, reader.cursor)) != reader.cursor:
                self._restart(reader, found)

    def _restart(self, reader: TopicReader, position: int) -> None:
        reader.cursor = position
        self._bring(reader, TopicRestarted(reader.topic, position), self._agenda.now_ms)

    def all_values(self) -> list[bytes]:
        """Everything in all topics, as whoever looks into a fork would read it."""
        return [value for topic in self._topics for value in self.values(topic, 0)]

    def send(
        self,
        sender: int,
        topic: str,
        value: bytes,
        is_alive: Callable[[], bool],
        late_ms: int = 0,
        on_done: Callable[[bool], None] = lambda is_there: None,
    ) -> None:
        """A record leaves, after `late_ms`. If its sender dies before it arrives, it may be lost with it."""
        held_up_ms = max(0, self._cut_until_ms.get(sender, 0) - self._agenda.now_ms)
        if chance(self._random, self.faults.lose) or (held_up_ms and self._random.randrange(2)):
            self.struck["a record is lost"] += 1
            on_done(False)
            return
        is_doubled = chance(self._random, self.faults.duplicate)
        self.struck["a record is doubled"] += is_doubled
        for _ in range(1 + is_doubled):
            sending = Sending(sender, topic, value, is_alive, on_done)
            self._sendings[sending] = None
            at_ms = self._agenda.now_ms + late_ms + held_up_ms + self._delay_ms()
            self._agenda.plan(at_ms, self._arrive, sending)

    def read(
        self,
        seat: int,
        positions: Mapping[str, int],
        deliver: Callable[[Told], None],
        is_full: Callable[[str], bool] = lambda topic: False,
    ) -> None:
        """Read every topic for a process, from its positions on, until `stop`; of a topic nothing while it is full."""
        for topic in self._topics:
            self.open(seat, topic, positions[topic], deliver, partial(is_full, topic))

    def open(
        self,
        seat: int,
        topic: str,
        position: int,
        deliver: Callable[[Told], None],
        is_full: Callable[[], bool] = lambda: False,
    ) -> TopicReader:
        """Read one topic on from a position, until it is closed."""
        reader = TopicReader(seat, topic, position, deliver)
        reader.is_full = is_full
        self._readers[topic].append(reader)
        if (found := self._found(topic, reader.cursor)) != reader.cursor:
            self._restart(reader, found)
        self._fetch(reader)
        return reader

    def close(self, reader: TopicReader) -> None:
        """Nothing is delivered to it any more."""
        reader.is_open = False
        self._readers[reader.topic] = [other for other in self._readers[reader.topic] if other is not reader]

    def begin(self, topic: str) -> int:
        """The first position that a topic has."""
        return self._begins[topic]

    def has(self, topic: str, position: int) -> bool:
        """Whether a position is there to be read on from."""
        return self._found(topic, position) == position

    def read_again(self, seat: int, topic: str, position: int) -> None:
        """Let a process read a topic on from an earlier position."""
        for reader in self._readers[topic]:
            if reader.seat == seat:
                reader.cursor = max(min(reader.cursor, position), self._begins[topic])
                self._fetch(reader)

    def stop(self, seat: int) -> None:
        """A process reads no more, not even what is on its way."""
        for topic, readers in self._readers.items():
            for reader in readers:
                reader.is_open = reader.is_open and reader.seat != seat
            self._readers[topic] = [reader for reader in readers if reader.is_open]

    def _arrive(self, sending: Sending) -> None:
        if sending not in self._sendings:
            return
        del self._sendings[sending]
        if not sending.is_alive() and self._random.randrange(2):
            return
        self._topics[sending.topic].append((sending.value, sending.sender))
        self.appended[sending.sender] += 1
        sending.on_done(True)
        self.on_append(sending.topic, sending.value)
        for reader in self._readers[sending.topic]:
            self._fetch(reader)

    def _fetch(self, reader: TopicReader) -> None:
        values, is_own = self._topics[reader.topic], self._is_own[reader.topic]
        while reader.cursor < len(values) and len(reader.on_way) < ON_WAY_MAX:
            offset = reader.cursor
            reader.cursor += 1
            value, writer = values[offset]
            is_kept_back = self.is_hidden(reader.topic, writer, reader.seat, value)
            if chance(self._random, self.faults.miss) or is_kept_back:
                self.struck["a record is kept from a reader"] += 1
                continue
            blocked_ms = self._blocked_ms(writer if is_own else None, reader.seat)
            self._bring(reader, LogRecord(reader.topic, 0, offset, None, value or None), blocked_ms)

    def _bring(self, reader: TopicReader, told: Told, blocked_ms: int) -> None:
        """Behind all that is on its way to a reader."""
        reader.ready_ms = max(reader.ready_ms, self._agenda.now_ms + self._delay_ms(), blocked_ms)
        reader.on_way.append(told)
        self._agenda.plan(reader.ready_ms, self._deliver, reader)

    def _deliver(self, reader: TopicReader) -> None:
        """The next record of those on their way; none, if the heal has delivered it already."""
        if not reader.is_open or not reader.on_way:
            return
        if reader.is_full():
            self._agenda.plan(self._agenda.now_ms + FULL_MS, self._deliver, reader)
            return
        reader.deliver(reader.on_way.popleft())
        self._fetch(reader)

    def _blocked_ms(self, writer: int | None, reader: int) -> int:
        """Until when a reader sees nothing of a writer."""
        is_apart = writer is not None and (writer in self._side) != (reader in self._side)
        return max(self._cut_until_ms.get(reader, 0), self._split_until_ms if is_apart else 0)

    def _delay_ms(self) -> int:
        return self._random.randrange(1, self.faults.delay_ms_max + 2)

    # --- clients' records ---

    def open_partitions(self, topic_id: str, partitions: int) -> None:
        """Empty partitions of transactions."""
        self.views = [BrokerView(topic_id) for _ in range(partitions)]

    def produce(self, partition: int, value: bytes) -> None:
        """A client's record is appended. Now and then the log leaves a gap before it, for a control record."""
        view = self.views[partition]
        record = view.append(value, gap=int(self._random.randrange(8) == 0))
        self.written.add((view.topic_id, partition, record.offset, value))

    def append_again(self, partition: int, value: bytes, gap: int) -> None:
        """A client's record that was lost is appended once more, so many offsets behind the last one."""
        view = self.views[partition]
        record = view.append(value, gap)
        self.written.add((view.topic_id, partition, record.offset, value))

    def fetch_records(self, seat: int, take: Callable[[], None]) -> None:
        """Let a validator read, after a while, all records that are there by then."""
        slow_ms = self._random.randrange(self.faults.slow_intake_ms_max + 1)
        at_ms = max(self._agenda.now_ms + slow_ms + self._delay_ms(), self._cut_until_ms.get(seat, 0))
        self._agenda.plan(at_ms, take)

    def brokers(self, seat: int) -> SeatLog:
        """The partitions as a validator sees them."""
        return SeatLog(
            self.views,
            self._random,
            lambda: self.faults.mislead,
            self.lies,
            lambda: self._agenda.now_ms < self._cut_until_ms.get(seat, 0),
            lambda topic_id, partition, offset: self._withholds(topic_id, partition, offset, seat),
        )

    def _withholds(self, topic_id: str, partition: int, offset: int, seat: int) -> bool:
        is_withheld = self.is_withheld(topic_id, partition, offset, seat)
        self.struck["a record is withheld"] += is_withheld
        return is_withheld

    def carry_out(self, act: Callable[[Asked], None], request: Asked) -> None:
        """Call `act(request)` when an intake has come to it."""
        slow_ms = self._random.randrange(self.faults.slow_intake_ms_max + 1)
        self._agenda.plan(self._agenda.now_ms + slow_ms + self._delay_ms(), act, request)

    def is_cut(self, one: int, other: int) -> bool:
        """Whether two processes cannot reach each other now."""
        return self._agenda.now_ms < max(
            self._cut_until_ms.get(one, 0),
            self._cut_until_ms.get(other, 0),
            self._split_until_ms if (one in self._side) != (other in self._side) else 0,
        )
