"""The log as one process reaches it: clients that block in virtual time, over the log of a world."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Final, Protocol

from backbone.log import Delivery, LogBackPressure, LogReader, LogRecord, LogUnavailable, PositionLost, TopicInfo
from consensus.runtime.loop import TopicRestarted
from simulation.parts.faults import Faults, chance
from simulation.parts.log import SimLog, Told, TopicReader
from simulation.threads.ports import Points, PortFaults
from simulation.threads.primitives import Bell
from simulation.threads.scheduler import Scheduler

BATCH_MS: Final = 2
"""What any call to the log takes at most, beside delays."""


class Reach(Protocol):
    """What a process has of the world to reach the log."""

    seat: int
    random: Random
    points: Points
    news: Bell
    """Rings when clients' records may have come."""

    @property
    def scheduler(self) -> Scheduler: ...
    @property
    def log(self) -> SimLog: ...
    @property
    def is_booting(self) -> bool:
        """Whether topics are read whole, to the end that they have now."""

    @property
    def faults(self) -> Faults: ...
    @property
    def port_faults(self) -> PortFaults: ...
    def own_values(self, topic: str, position: int) -> list[bytes]:
        """What a booting process finds in its own topic."""

    def is_deaf_to(self, topic: str) -> bool:
        """Whether nothing of a topic is to be heard."""

    def send(self, topic: str, value: bytes, on_done: Callable[[bool], None]) -> None:
        """A record leaves."""


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

    def producer(self) -> "Producer":
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
        self._values = reach.own_values(topic, position)

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        """See `LogReader`."""
        self._reach.points.before("boot.read", LogUnavailable)
        self._reach.points.sleep(BATCH_MS)
        taken, self._values = self._values[:records_max], self._values[records_max:]
        records = [LogRecord(self._topic, 0, self._next + at, None, value) for at, value in enumerate(taken)]
        self._next += len(taken)
        return records

    def at_end(self) -> bool:
        """See `LogReader`."""
        return not self._values

    def close(self) -> None:
        """See `LogReader`."""
        self._reach.points.before("boot.close")


class TailReader:
    """One topic on and on: what the world has delivered so far."""

    def __init__(self, reach: Reach, topic: str, position: int) -> None:
        self._reach = reach
        self._found: deque[LogRecord] = deque()
        self._topic = topic
        self._is_lost = False
        self._bell = Bell(reach.scheduler, f"records of {topic}")
        self._is_deaf = reach.is_deaf_to(topic)
        self._reader: TopicReader = reach.log.open(reach.seat, topic, position, self._deliver)

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        """See `LogReader`. Who is cut off waits in vain, or is told that the log does not answer."""
        reach, agenda = self._reach, self._reach.scheduler.agenda
        reach.points.before("topic.read", LogUnavailable)
        until_ms = agenda.now_ms + timeout_ms
        while not (self._found or self._is_lost) and agenda.now_ms < until_ms:
            self._bell.wait((until_ms - agenda.now_ms) / 1000)
        if not self._found and self._is_lost:
            raise PositionLost(f"{self._topic} no longer holds the position", self._topic, 0)
        if not self._found and reach.log.is_cut(reach.seat, reach.seat) and chance(reach.random, 500):
            raise LogUnavailable("cut off")
        taken = [self._found.popleft() for _ in range(min(records_max, len(self._found)))]
        reach.points.after("topic.read", LogUnavailable)
        return taken

    def at_end(self) -> bool:
        """See `LogReader`. Nobody asks who reads on and on."""
        return not self._found

    def close(self) -> None:
        """See `LogReader`."""
        self._reach.log.close(self._reader)
        self._reach.points.before("topic.close")

    def _deliver(self, told: Told) -> None:
        if self._is_deaf or self._is_lost:
            return
        if isinstance(told, TopicRestarted):
            self._is_lost = True
        else:
            self._found.append(told)
        self._bell.ring()


class Producer:
    """See `LogProducer`. A delivery may fail of a record that came into the log, and of one that did not."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._on_way = 0
        self._ready: deque[Callable[[], None]] = deque()
        self._bell = Bell(reach.scheduler, "deliveries")

    def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
        key: bytes | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        """See `LogProducer`."""
        reach = self._reach
        reach.points.before("producer.send")
        if self._on_way >= reach.port_faults.queue_max:
            raise LogBackPressure("the queue is full")
        self._on_way += 1
        waiting = [on_delivery]

        def done(is_there: bool) -> None:
            """Once for each record, however often it arrives."""
            if waiting and waiting.pop() is not None:
                is_heard = is_there and not chance(reach.random, reach.port_faults.cut_off)
                error = None if is_heard or not (is_there or chance(reach.random, 500)) else "no answer"
                self._ready.append(partial(self._serve, on_delivery, Delivery(topic, partition, 0, error)))
                self._bell.ring()

        if chance(reach.random, reach.port_faults.fail):
            done(False)
        else:
            reach.send(topic, value, done)
        reach.points.after("producer.send")

    def poll(self, timeout_ms: int) -> int:
        """See `LogProducer`."""
        self._reach.points.before("producer.poll")
        served = 0
        while self._ready:
            self._ready.popleft()()
            served += 1
        return served

    def flush(self, timeout_ms: int) -> int:
        """See `LogProducer`."""
        agenda = self._reach.scheduler.agenda
        until_ms = agenda.now_ms + timeout_ms
        self.poll(0)
        while self._on_way and agenda.now_ms < until_ms:
            self._bell.wait((until_ms - agenda.now_ms) / 1000)
            self.poll(0)
        return self._on_way

    def close(self) -> None:
        """See `LogProducer`."""
        self._reach.points.before("producer.close")

    def _serve(self, on_delivery: Callable[[Delivery], None] | None, delivery: Delivery) -> None:
        self._on_way -= 1
        if on_delivery is not None:
            on_delivery(delivery)
