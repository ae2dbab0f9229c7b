"""The log as one process reaches it: clients that block in virtual time, over the log of a world."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from backbone.log import LogReader, LogRecord, LogUnavailable, PositionLost, TopicInfo
from simulation.parts.faults import Faults, chance
from simulation.parts.log import SimLog, Told, TopicReader
from simulation.threads.primitives import Bell
from simulation.threads.producer import Producer, Sender

BATCH_MS: Final = 2
"""What any call to the log takes at most, beside delays."""

SLOW_TO_SAY_NOTHING: Final = 5
"""So many times as long as asked an empty read of a topic takes: worlds are idle for long."""


class Reach(Sender, Protocol):
    """What a process has of the world to reach the log."""

    seat: int
    news: Bell
    """Rings when clients' records may have come."""

    @property
    def log(self) -> SimLog: ...
    @property
    def is_booting(self) -> bool:
        """Whether topics are read whole, to the end that they have now."""

    @property
    def faults(self) -> Faults: ...
    def own_values(self, topic: str, position: int) -> list[bytes]:
        """What a booting process finds in its own topic."""

    def on_read(self, records: Sequence[LogRecord]) -> None:
        """A tail has got these: they are on their way to the loop."""

    def on_fetched(self, records: Sequence[LogRecord]) -> None:
        """These were read: that took its time."""

    def is_deaf_to(self, topic: str) -> bool:
        """Whether nothing of a topic is to be heard."""


class ProcessLog:
    """See `backbone.log.Log`, as far as a validator's process asks."""

    def __init__(self, reach: Reach, transactions: str) -> None:
        self._reach = reach
        self._transactions = transactions
        self._records = reach.log.brokers(reach.seat)

    def describe(self, topic: str) -> TopicInfo:
        """See `Log`."""
        points = self._reach.points
        points.before("log.describe", LogUnavailable)
        found = self._records.describe(topic)
        points.after("log.describe", LogUnavailable)
        return found

    def begin(self, topic: str, partition: int) -> int:
        """See `Log`."""
        self._reach.points.before("log.begin", LogUnavailable)
        return 0 if topic == self._transactions else self._reach.log.begin(topic)

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        """See `Log`."""
        self._reach.points.before("log.reader", LogUnavailable)
        if topic == self._transactions:
            return RecordsReader(self._reach, self._records.reader(topic, positions))
        if self._reach.is_booting:
            return WholeReader(self._reach, topic, positions[0])
        return TailReader(self._reach, topic, positions[0])

    def producer(self) -> Producer:
        """See `Log`."""
        self._reach.points.before("log.producer")
        return Producer(self._reach)


class RecordsReader:
    """Clients' records, as the brokers show them to this process, after their delay."""

    def __init__(self, reach: Reach, shown: LogReader) -> None:
        self._reach = reach
        self._shown = shown

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        """See `LogReader`."""
        reach, agenda = self._reach, self._reach.scheduler.agenda
        reach.points.before("records.read", LogUnavailable)
        reach.points.sleep(reach.faults.delay_ms_max + reach.random.randrange(reach.faults.slow_intake_ms_max + 1))
        until_ms = agenda.now_ms + timeout_ms
        while not (found := self._shown.read(records_max, 0)) and agenda.now_ms < until_ms:
            reach.news.wait((until_ms - agenda.now_ms) / 1000)
        reach.points.after("records.read", LogUnavailable)
        reach.on_fetched(found)
        return found

    def at_end(self) -> bool:
        """See `LogReader`."""
        return self._shown.at_end()

    def close(self) -> None:
        """See `LogReader`."""
        self._reach.points.before("records.close")
        self._shown.close()


class WholeReader:
    """All that a topic has when it is opened, and nothing kept back: what a process reads as it boots."""

    def __init__(self, reach: Reach, topic: str, position: int) -> None:
        self._reach = reach
        self._topic = topic
        self._next = position
        self._is_lost = not reach.log.has(topic, position)
        self._values = reach.own_values(topic, position)

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        """See `LogReader`."""
        self._reach.points.before("boot.read", LogUnavailable)
        self._reach.points.sleep(BATCH_MS)
        if self._is_lost:
            raise PositionLost("the offset is not there", self._topic, 0)
        taken, self._values = self._values[:records_max], self._values[records_max:]
        records = [LogRecord(self._topic, 0, self._next + at, None, value or None) for at, value in enumerate(taken)]
        self._next += len(taken)
        self._reach.on_fetched(records)
        return records

    def at_end(self) -> bool:
        """See `LogReader`."""
        return not self._values and not self._is_lost

    def close(self) -> None:
        """See `LogReader`."""
        self._reach.points.before("boot.close")


class TailReader:
    """One topic on and on: what the world has delivered so far."""

    def __init__(self, reach: Reach, topic: str, position: int) -> None:
        self._reach = reach
        self._topic = topic
        self._found: deque[Told] = deque()
        self._bell = Bell(reach.scheduler, f"records of {topic}")
        self._is_deaf = reach.is_deaf_to(topic)
        self._reader: TopicReader = reach.log.open(reach.seat, topic, position, self._deliver)

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        """See `LogReader`. Who is cut off waits in vain, or learns that the log does not answer."""
        reach, agenda = self._reach, self._reach.scheduler.agenda
        reach.points.before("topic.read", LogUnavailable)
        until_ms = agenda.now_ms + SLOW_TO_SAY_NOTHING * timeout_ms
        while not self._found and agenda.now_ms < until_ms:
            self._bell.wait((until_ms - agenda.now_ms) / 1000)
        if not self._found and reach.log.is_cut(reach.seat, reach.seat) and chance(reach.random, 500):
            raise LogUnavailable("cut off")
        taken: list[LogRecord] = []
        while self._found and len(taken) < records_max and isinstance(told := self._found[0], LogRecord):
            taken.append(told)
            self._found.popleft()
        if self._found and not taken:
            raise PositionLost("the offset is not there", self._topic, 0)
        reach.points.after("topic.read", LogUnavailable)
        reach.on_read(taken)
        return taken

    def at_end(self) -> bool:
        """See `LogReader`. Nobody asks who reads on and on."""
        return not self._found

    def close(self) -> None:
        """See `LogReader`."""
        self._reach.log.close(self._reader)
        self._reach.points.before("topic.close")

    def _deliver(self, told: Told) -> None:
        if not self._is_deaf:
            self._found.append(told)
            self._bell.ring()
