"""A log in memory that fails on request, and a validator that makes whatever is in it final."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence

from backbone.log import (
    Delivery,
    LogBackPressure,
    LogRecord,
    LogUnavailable,
    PositionLost,
    TopicInfo,
    TopicMissing,
    TopicSpec,
)
from consensus.wire.final_blocks import BlockReader, encode_block
from consensus.wire.messages import Certificate, Kind, Vote, Wire
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.header import Epoch, Head, Header
from tests.builders import validator_key


class FlakyLog:
    """Topics in memory. `faults` holds what the next sends meet, one each: "refuse" (an error as the delivery),
    "lose" (appended, but the connection breaks before the answer), "drop" (the connection breaks and nothing was
    appended), "full" (back-pressure). `missing` topics do not exist, `unreadable` ones cannot be
    read."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.records: dict[tuple[str, int], list[LogRecord]] = defaultdict(list)
        self.faults: deque[str] = deque()
        self.missing: set[str] = set()
        self.unreadable: set[str] = set()
        self.size_max = 1 << 30
        """Of a value."""
        self.holds = False
        """While true, nothing is acknowledged."""

    def append(self, topic: str, partition: int, value: bytes | None, key: bytes | None = None) -> int:
        with self.lock:
            records = self.records[topic, partition]
            records.append(LogRecord(topic, partition, len(records), key, value))
            self.lock.notify_all()
            return len(records) - 1

    def values(self, topic: str) -> list[bytes]:
        """Every value of a topic, by partition, then offset."""
        with self.lock:
            found = [
                record for (name, _), records in sorted(self.records.items()) if name == topic for record in records
            ]
            return [record.value for record in found if record.value is not None]

    def cluster_id(self) -> str:
        return "flaky"

    def describe(self, topic: str) -> TopicInfo:
        return TopicInfo(topic, "flaky", 1, 1, {})

    def ends(self, topic: str) -> Mapping[int, int]:
        return {partition: len(records) for (name, partition), records in self.records.items() if name == topic}

    def begin(self, topic: str, partition: int) -> int:
        return 0

    def create(self, specs: Sequence[TopicSpec]) -> None:
        raise LogUnavailable

    def delete(self, topics: Sequence[str]) -> None:
        raise TopicMissing

    def producer(self) -> "FlakyProducer":
        return FlakyProducer(self)

    def reader(self, topic: str, positions: Mapping[int, int]) -> "FlakyReader":
        if topic in self.missing:
            raise TopicMissing(topic)
        if topic in self.unreadable:
            raise LogUnavailable(topic)
        return FlakyReader(self, topic, dict(positions))

    def close(self) -> None:
        return None


class FlakyProducer:
    def __init__(self, log: FlakyLog) -> None:
        self._log = log
        self._answers: deque[tuple[Callable[[Delivery], None] | None, Delivery]] = deque()
        self._is_broken = False

    def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
        key: bytes | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        if topic in self._log.missing:
            raise TopicMissing(topic)
        fault = self._log.faults.popleft() if self._log.faults else ""
        match fault:
            case "full":
                raise LogBackPressure
            case _ if len(value) > self._log.size_max:
                self._answers.append((on_delivery, Delivery(topic, partition, -1, "too large", is_too_large=True)))
                return
            case "refuse":
                self._answers.append((on_delivery, Delivery(topic, partition, -1, "refused")))
                return
            case "drop":
                self._is_broken = True
                return
        offset = self._log.append(topic, partition, value, key)
        if fault == "lose":
            self._is_broken = True
        else:
            self._answers.append((on_delivery, Delivery(topic, partition, offset, None)))

    def poll(self, timeout_ms: int) -> int:
        if self._is_broken:
            raise LogUnavailable("the connection broke")
        with self._log.lock:
            if self._log.holds or not self._answers:
                self._log.lock.wait(timeout_ms / 1000)
            if self._log.holds:
                return 0
        served = 0
        while self._answers:
            on_delivery, delivery = self._answers.popleft()
            served += 1
            if on_delivery is not None:
                on_delivery(delivery)
        return served

    def flush(self, timeout_ms: int) -> int:
        if self._answers or self._is_broken:
            self.poll(timeout_ms)
        return len(self._answers)

    def close(self) -> None:
        return None


class FlakyReader:
    def __init__(self, log: FlakyLog, topic: str, positions: dict[int, int]) -> None:
        self._log = log
        self._topic = topic
        self._positions = positions

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        with self._log.lock:
            self._log.lock.wait_for(self._has_more, timeout_ms / 1000)
            found: list[LogRecord] = []
            for partition, position in self._positions.items():
                if position > len(self._log.records[self._topic, partition]):
                    raise PositionLost(f"offset {position} is gone", self._topic, partition)
                new = self._log.records[self._topic, partition][position : position + records_max]
                self._positions[partition] += len(new)
                found += new
            return found

    def at_end(self) -> bool:
        return not self._has_more()

    def close(self) -> None:
        return None

    def _has_more(self) -> bool:
        return any(len(self._log.records[self._topic, p]) != at for p, at in self._positions.items())


class MiniValidator:
    """The only validator of a test genesis: signs a header whose heads are the ends of the log."""

    def __init__(self, genesis: Genesis, log: FlakyLog) -> None:
        self._genesis = genesis
        self._log = log
        self._blocks = BlockReader(genesis, Committees.of(genesis))
        self._wire = Wire(genesis, Committees.of(genesis))
        self._parent = genesis.digest
        self.height = self.incarnation = 0

    def make_final(self) -> bytes:
        """Write a final block over everything in the log to `blocks`; the record's value."""
        value = self.block([len(self._log.records[self._genesis.topic, p]) for p in range(self._genesis.partitions)])
        self._log.append(self._genesis.topic_name("blocks"), 0, value)
        return value

    def recreate(self) -> None:
        """The transactions topic is empty, and its offsets begin anew: the next block's heads open it so."""
        for partition in range(self._genesis.partitions):
            self._log.records[self._genesis.topic, partition].clear()
        self.incarnation += 1

    def block(self, ends: Sequence[int]) -> bytes:
        """The value of a record of `blocks` with these heads, genuinely signed."""
        self.height += 1
        heads = tuple(Head(partition, self.incarnation, end, bytes(32)) for partition, end in enumerate(ends))
        header = Header(1, Epoch(0), self.height, self.height - 1, self._parent, self.height, 0, self.height, heads)
        block = self._wire.block(header)
        self._parent = block.digest
        vote = Vote(Kind.FINALIZE, Epoch(0), self.height, block.digest, 0)
        signature = validator_key(0).sign(self._wire.signing_bytes(vote))
        certificate = Certificate(Kind.FINALIZE, Epoch(0), vote.view, block.digest, ((0, signature),))
        return encode_block(block.header_bytes, self._blocks.prove(certificate, ()))
