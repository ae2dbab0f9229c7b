"""The production intake over a store and one validator's view of the brokers' partitions."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple, cast

from backbone.intake.intake import Advance, Intake, IntakeLimits, IntakeParts, Shown
from backbone.intake.retained_records import RetainedRecords
from backbone.log import LogRecord, LogUnavailable, PositionLost, ReadableLog, TopicInfo
from backbone.store import StoreReader, StoreWriter
from backbone.threads import REAL, Threads
from ledger import digests
from ledger.genesis import Genesis
from node.home import intake as production
from simulation.parts.faults import chance
from simulation.parts.partitions import BrokerView
from simulation.parts.store import SimStore

READ_MAX: Final = 1_000
PUMPS_MAX: Final = 20
"""Batches of one visit; a log that lies may always have something new."""


class SeatLog:
    """What the brokers show to one process: in a misleading world, now and then a record that nobody else is shown."""

    def __init__(
        self,
        views: Sequence[BrokerView],
        random: Random,
        mislead: Callable[[], int],
        lies: set[tuple[str, int, int, bytes]],
        is_cut: Callable[[], bool],
        is_withheld: Callable[[str, int, int], bool],
    ) -> None:
        """`mislead`: how likely it is, per mille and record; `lies`: what was shown so, added to; `is_cut`: whether the
        brokers cannot be reached; `is_withheld`: whether the log seems to end before a record, by topic id, partition
        and offset."""
        self.views = views
        self.random = random
        self.mislead = mislead
        self.lies = lies
        self._is_cut = is_cut
        self.is_withheld = is_withheld

    def check(self) -> None:
        """Raises: LogUnavailable."""
        if self._is_cut():
            raise LogUnavailable("cut off")

    def describe(self, topic: str) -> TopicInfo:
        self.check()
        return TopicInfo(topic, self.views[0].topic_id, len(self.views), 1, {})

    def begin(self, topic: str, partition: int) -> int:
        self.check()
        return 0

    def reader(self, topic: str, positions: Mapping[int, int]) -> "SeatReader":
        self.check()
        return SeatReader(self, topic, positions)


class SeatReader:
    """Reads on from positions, until the topic is another or a position is gone.

    A consumer of Kafka notices a new leader and asks it how far its own position is good (KIP-320): what was cut while
    it read shows, also where the log has grown again; what was cut before it began does not.
    """

    def __init__(self, log: SeatLog, topic: str, positions: Mapping[int, int]) -> None:
        self._log = log
        self._topic = topic
        self._positions = dict(positions)
        self._topic_id = log.views[0].topic_id
        self._ends: dict[int, int] = {}
        """Where partitions seem to end, of which something is withheld."""
        self._truncations = [len(view.truncations) for view in log.views]

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        self._log.check()
        if self._log.views[0].topic_id != self._topic_id:
            raise PositionLost("the topic was recreated", self._topic)
        found: list[LogRecord] = []
        for partition, position in self._positions.items():
            view = self._log.views[partition]
            cuts, self._truncations[partition] = view.truncations[self._truncations[partition] :], len(view.truncations)
            if position > min([view.end_offset, *(offset for _, offset in cuts)]):
                raise PositionLost("the offset is not there", self._topic, partition)
            start = bisect_left(view.records, position, key=lambda record: record.offset)
            taken = view.records[start : start + records_max - len(found)]
            for record in taken:
                if self._log.is_withheld(self._topic_id, partition, record.offset):
                    self._ends[partition] = record.offset
                    break
                shown = self._shown(partition, record.offset, record.value)
                found.append(LogRecord(self._topic, partition, record.offset, None, shown))
                self._positions[partition] = record.offset + 1
            else:
                self._ends.pop(partition, None)
                if start + len(taken) == len(view.records):
                    self._positions[partition] = max(position, view.end_offset)
        return found

    def at_end(self) -> bool:
        views, ends = self._log.views, self._ends
        return all(
            position >= ends.get(partition, views[partition].end_offset)
            for partition, position in self._positions.items()
        )

    def close(self) -> None:
        return None

    def _shown(self, partition: int, offset: int, value: bytes) -> bytes:
        if not chance(self._log.random, self._log.mislead()):
            return value
        lie = b"a lie number %d" % self._log.random.randrange(1 << 30)
        self._log.lies.add((self._topic_id, partition, offset, lie))
        return lie


class Stores(NamedTuple):
    """What an intake has of a validator's disk."""

    writer: StoreWriter
    reader: StoreReader
    retained: RetainedRecords


def in_memory(store: SimStore) -> Stores:
    """The intake asks no more of them than the virtual ones offer."""
    return Stores(cast(StoreWriter, store), cast(StoreReader, store), cast(RetainedRecords, store.retained))


def open_intake(
    genesis: Genesis, stores: Stores, log: ReadableLog, now_ms: Callable[[], int], threads: Threads = REAL
) -> Intake:
    """The intake of a process that starts from what its store holds, as production opens it."""
    parts = IntakeParts(log, genesis.topic, *stores, _chain, threads)
    return production.open_intake(parts, genesis, IntakeLimits(), None, now_ms)


def pump(intake: Intake) -> list[Advance | Shown]:
    """All that the log has now, and what is to be said of it; or what it gave before it became unavailable."""
    found: list[Advance | Shown] = []
    vain = 0
    for _ in range(PUMPS_MAX):
        try:
            more = intake.pump(READ_MAX, 0)
        except LogUnavailable:
            break
        found.extend(more)
        vain = 0 if more else vain + 1
        if vain == 2:
            break
    return found


def _chain(before: bytes, incarnation: int, offset: int, value: bytes | None) -> bytes:
    return digests.chain_next(before, incarnation, offset, digests.value_digest(value))
