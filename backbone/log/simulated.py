"""The log in memory: deterministic, without threads, clock or chance, for simulations and tests.

Nothing happens but in a call: what was sent is appended, and its delivery served, by the producer's `poll` and
`flush`; a reader never waits. `append`, `skip`, `prune` and `truncate` do what others do to a log behind our back.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate
from typing import Final

from backbone.log import (
    READ_BYTES_MAX,
    Delivery,
    LogBackPressure,
    LogReader,
    LogRecord,
    PositionLost,
    TopicExists,
    TopicInfo,
    TopicMissing,
    TopicSpec,
    sentences,
)

VALUE_BYTES_DEFAULT_MAX: Final = 1_048_588
QUEUE_RECORDS_MAX: Final = 100_000

_Sent = tuple[str, int, bytes | None, bytes, Callable[[Delivery], None] | None]


@dataclass(slots=True)
class _Partition:
    """Records in offset order, perhaps with gaps; `first` and `next` are the ends as a broker has them."""

    first: int = 0
    next: int = 0
    records: list[LogRecord] = field(default_factory=list)

    def index(self, offset: int) -> int:
        return bisect_left(self.records, offset, key=lambda record: record.offset)


@dataclass(frozen=True, slots=True)
class _Topic:
    info: TopicInfo
    partitions: list[_Partition]


class SimulatedLog:
    """A log of topics in memory; every call of `producer` and `reader` gives a client of its own."""

    def __init__(self, name: str = "simulated", queue_records_max: int = QUEUE_RECORDS_MAX) -> None:
        self._name = name
        self._queue_records_max = queue_records_max
        self._topics: dict[str, _Topic] = {}
        self._created = 0

    def bounded(self, queue_records_max: int) -> "SimulatedLog":
        """The same log, whose producers here take fewer records between two polls."""
        other = SimulatedLog(self._name, queue_records_max)
        other._topics = self._topics
        return other

    def cluster_id(self) -> str:
        """See `Log`."""
        return self._name

    def begin(self, topic: str, partition: int) -> int:
        """See `Log`."""
        partitions = self._topic(topic).partitions
        if not 0 <= partition < len(partitions):
            raise TopicMissing(sentences.no_partition(topic, partition))
        return partitions[partition].first

    def ends(self, topic: str) -> Mapping[int, int]:
        """See `Log`."""
        return {number: partition.next for number, partition in enumerate(self._topic(topic).partitions)}

    def describe(self, topic: str) -> TopicInfo:
        """See `Log`."""
        return self._topic(topic).info

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """See `Log`. Ids are drawn from the log's name and the number of topics made so far."""
        for spec in specs:
            if spec.name in self._topics:
                raise TopicExists(sentences.exists(spec.name))
        for spec in specs:
            self._created += 1
            topic_id = sha256(f"{self._name} {spec.name} {self._created}".encode()).hexdigest()[:32]
            info = TopicInfo(spec.name, topic_id, spec.partitions, spec.replicas, dict(spec.settings))
            self._topics[spec.name] = _Topic(info, [_Partition() for _ in range(spec.partitions)])

    def delete(self, topics: Sequence[str]) -> None:
        """See `Log`."""
        for topic in topics:
            self._topic(topic)
            del self._topics[topic]

    def append(self, topic: str, partition: int, value: bytes | None, key: bytes | None = None) -> int:
        """Append a record as any client may, also one without a value; its offset."""
        place = self._topic(topic).partitions[partition]
        place.records.append(LogRecord(topic, partition, place.next, key, value))
        place.next += 1
        return place.next - 1

    def skip(self, topic: str, partition: int, offsets: int) -> None:
        """Leave a gap, as control records of a broker's transactions do."""
        self._topic(topic).partitions[partition].next += offsets

    def prune(self, topic: str, partition: int, first_offset: int) -> None:
        """Delete the records below `first_offset`, as retention does."""
        place = self._topic(topic).partitions[partition]
        del place.records[: place.index(first_offset)]
        place.first = max(place.first, first_offset)
        place.next = max(place.next, place.first)

    def truncate(self, topic: str, partition: int, end_offset: int) -> None:
        """Lose the records from `end_offset` on, as an unclean election does."""
        place = self._topic(topic).partitions[partition]
        del place.records[place.index(end_offset) :]
        place.next = min(place.next, end_offset)
        place.first = min(place.first, place.next)

    def producer(self) -> "SimulatedProducer":
        """See `Log`."""
        return SimulatedProducer(self, self._queue_records_max)

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        """See `Log`."""
        return SimulatedReader(self._topics, self._topic(topic), positions)

    def close(self) -> None:
        """The topics stay for as long as the object."""

    def _topic(self, name: str) -> _Topic:
        if name not in self._topics:
            raise TopicMissing(sentences.missing(name))
        return self._topics[name]


class SimulatedProducer:
    """See `LogProducer`. What was sent is nowhere until `poll` or `flush` appends it."""

    def __init__(self, log: SimulatedLog, queue_records_max: int) -> None:
        self._log = log
        self._queue_records_max = queue_records_max
        self._queue: deque[_Sent] = deque()

    def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
        key: bytes | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        """See `LogProducer`."""
        self._log.describe(topic)
        if len(self._queue) >= self._queue_records_max:
            raise LogBackPressure(sentences.FULL)
        self._queue.append((topic, partition, key, value, on_delivery))

    def poll(self, timeout_ms: int) -> int:
        """See `LogProducer`; there is nothing to wait for."""
        served = 0
        for _ in range(len(self._queue)):
            topic, partition, key, value, on_delivery = self._queue.popleft()
            delivery = self._append(topic, partition, key, value)
            served += 1
            if on_delivery is not None:
                on_delivery(delivery)
        return served

    def flush(self, timeout_ms: int) -> int:
        """See `LogProducer`."""
        self.poll(timeout_ms)
        return len(self._queue)

    def close(self) -> None:
        """What was not flushed is gone."""
        self._queue.clear()

    def _append(self, topic: str, partition: int, key: bytes | None, value: bytes) -> Delivery:
        try:
            info = self._log.describe(topic)
        except TopicMissing as error:
            return Delivery(topic, partition, -1, str(error))
        size_max = int(info.settings.get("max.message.bytes", VALUE_BYTES_DEFAULT_MAX))
        if not 0 <= partition < info.partitions:
            return Delivery(topic, partition, -1, sentences.no_partition(topic, partition))
        if len(value) > size_max:
            return Delivery(topic, partition, -1, sentences.oversize(topic, len(value), size_max), is_too_large=True)
        return Delivery(topic, partition, self._log.append(topic, partition, value, key), None)


class SimulatedReader:
    """See `LogReader`. `read` returns at once, whatever its timeout."""

    def __init__(self, topics: Mapping[str, _Topic], topic: _Topic, positions: Mapping[int, int]) -> None:
        self._topics = topics
        self._topic = topic
        self._next = dict(positions)
        self._not_at_end = set(positions)
        if unknown := [partition for partition in positions if not 0 <= partition < topic.info.partitions]:
            raise TopicMissing(sentences.no_partition(topic.info.name, unknown[0]))
        self._mark_ends()

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        """See `LogReader`. Partitions take turns in being first."""
        self._check_topic()
        for partition, position in self._next.items():
            self._check_position(partition, position)
        found: list[LogRecord] = []
        left_bytes = READ_BYTES_MAX
        for partition in list(self._next):
            if len(found) < records_max and left_bytes > 0:
                taken = self._take(partition, records_max - len(found), left_bytes)
                left_bytes -= sum(len(record.value or b"") for record in taken)
                found += taken
        self._mark_ends()
        return found

    def at_end(self) -> bool:
        """See `LogReader`."""
        return not self._not_at_end

    def close(self) -> None:
        """Nothing is held."""

    def _take(self, partition: int, records_max: int, bytes_max: int) -> list[LogRecord]:
        place, position = self._topic.partitions[partition], self._next.pop(partition)
        start = place.index(position)
        taken = place.records[start : start + records_max]
        sizes = accumulate(len(record.value or b"") for record in taken)
        taken = taken[: 1 + sum(size < bytes_max for size in sizes)]
        reached_end = start + len(taken) == len(place.records)
        self._next[partition] = place.next if reached_end else taken[-1].offset + 1
        return taken

    def _mark_ends(self) -> None:
        for partition, position in self._next.items():
            if position >= self._topic.partitions[partition].next:
                self._not_at_end.discard(partition)

    def _check_topic(self) -> None:
        name = self._topic.info.name
        if name not in self._topics:
            raise TopicMissing(sentences.missing(name))
        if self._topics[name] is not self._topic:
            raise PositionLost(sentences.recreated(name), name)

    def _check_position(self, partition: int, position: int) -> None:
        place = self._topic.partitions[partition]
        if not place.first <= position <= place.next:
            holds = f"holds {place.first} to {place.next}"
            name = self._topic.info.name
            raise PositionLost(sentences.lost(name, partition, position, holds), name, partition)
