"""Threads that read: each puts what it finds into its queue to the loop, and waits while that is full."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Final

from backbone.log import Log, LogReader, LogRecord, LogUnavailable, PositionLost
from backbone.store import StoredRecord
from backbone.threads import REAL, Thread, Threads
from consensus.core.events import Fetch, Probe, Reread
from consensus.runtime.loop import Restarted, TopicRestarted
from consensus.runtime.ports import IntakePort, RecordSource, Request
from consensus.runtime.queues import Queues
from ledger.errors import Unavailable
from ledger.header import Head

WAIT_MS: Final = 100
RETRY_MS: Final = 200
RECORDS_MAX: Final = 200
"""Records of one batch."""
BEGINNINGS_MAX: Final = 5


class ReadingEnded(Unavailable):
    """A reading thread died of an error that nobody expected. A validator that hears only a part must not go on."""


class Reading:
    """The threads of one driver, which fill `queues`."""

    def __init__(self, queues: Queues, threads: Threads = REAL) -> None:
        self._queues = queues
        self._make_thread = threads.thread
        self._stop = threads.event()
        self._error: Exception | None = None
        """The first that waiting does not heal. It waits behind nothing that was read."""
        self.unavailable: Counter[str] = Counter()
        """By thread: how often the log was unavailable to it. Each counts its own."""
        self.errors: dict[str, str] = {}
        """By thread: what it said the last time."""
        self._threads: list[Thread] = []

    def start(
        self, name: str, body: Callable[[], None], close: Callable[[], None], errors: tuple[type[Exception], ...]
    ) -> None:
        """Run `body` again and again in a thread, with a pause where the log is unavailable; `close` at the end."""
        thread = self._make_thread(partial(self._run, name, body, close, errors), name)
        self._threads.append(thread)
        thread.start()

    def check(self) -> None:
        """Raises: what a thread met that waiting does not heal; ReadingEnded, where one has ended by anything else."""
        ended = [thread.name for thread in self._threads if not thread.is_alive()]
        if self._error is not None:
            raise self._error
        if ended:
            raise ReadingEnded(f"The thread {ended[0]!r} ended by an error of ours; its traceback is in the log.")

    def close(self) -> None:
        """End all threads."""
        self._stop.set()
        self._queues.close()
        for thread in self._threads:
            thread.join()

    def _run(
        self, name: str, body: Callable[[], None], close: Callable[[], None], errors: tuple[type[Exception], ...]
    ) -> None:
        while not self._stop.is_set():
            try:
                body()
            except LogUnavailable as error:
                self.errors[name] = str(error)
                self.unavailable[name] += 1
                self._stop.wait(RETRY_MS / 1000)
            except errors as error:
                self._error = self._error or error
                break
        close()


class IntakeTail:
    """Runs the intake in one thread; carries out requests there, in order with what it has queued.

    What has to be fetched from others is fetched in a second thread (`supply`), so that reading goes on meanwhile.
    """

    def __init__(
        self,
        intake: IntakePort,
        source: RecordSource,
        records_max: int,
        put: Callable[[Sequence[object]], None],
        threads: Threads = REAL,
    ) -> None:
        self._intake = intake
        self._source = source
        self._records_max = records_max
        self._put = put
        self._ordered, *_ = threads.conditions(1)
        self._orders: deque[Reread | Fetch] = deque()
        """To be fetched. The core asks rarely, and of what it asks while a fetch lasts only the newest is fetched."""
        self._newest: dict[int, Fetch] = {}
        """By partition."""
        self._fetched: deque[tuple[Reread | Fetch, Head | None, Sequence[StoredRecord]]] = deque()

    def request(self, request: Request) -> None:
        """Carry out what the core asks of the intake. From the loop's thread."""
        match request:
            case Probe(partition, end_offset):
                self._intake.probe(partition, end_offset)
            case Reread(before=None) | Reread(target=None):
                self._fetched.append((request, None, ()))
            case Fetch(target=target):
                self._newest[target.partition] = request
                self._order(request)
            case _:
                self._order(request)

    def supply(self) -> None:
        """Fetch what is asked for next."""
        with self._ordered:
            if not self._ordered.wait_for(lambda: self._orders, WAIT_MS / 1000):
                return
            order = self._orders.popleft()
        assert order.before is not None
        assert order.target is not None
        if isinstance(order, Fetch) and self._newest.get(order.target.partition) is not order:
            return
        records = self._source.fetch(order.before, order.target)
        if records is not None:
            self._fetched.append((order, order.before, records))
        elif isinstance(order, Reread):
            self._fetched.append((order, order.before, ()))

    def _order(self, order: Reread | Fetch) -> None:
        with self._ordered:
            self._orders.append(order)
            self._ordered.notify()

    def read(self) -> None:
        """Carry out what was fetched, then read a batch. Raises: as `Intake.pump`."""
        while self._fetched:
            self._carry_out(*self._fetched.popleft())
        found = self._intake.pump(self._records_max, WAIT_MS)
        if found:
            self._put(tuple(found))

    def _carry_out(self, order: Reread | Fetch, before: Head | None, records: Sequence[StoredRecord]) -> None:
        if isinstance(order, Fetch):
            self._put(tuple(self._intake.adopt(order.before, records)))
            return
        advances = self._intake.reread(
            order.partition, order.incarnation, order.from_offset, order.keep_end, before, records
        )
        self._put((Restarted(order.partition), *advances))


class TopicTail:
    """Reads one single-partition topic on and on; opens its reader anew after the log was unavailable."""

    def __init__(self, log: Log, topic: str, position: int, put: Callable[[Sequence[object]], None]) -> None:
        self._log = log
        self.topic = topic
        self._position = position
        self._put = put
        self._again_from: int | None = None
        self._reader: LogReader | None = None

    def read_again(self, position: int) -> None:
        """Go on reading from there. From any thread."""
        self._again_from = position

    def read(self) -> None:
        """Read a batch and hand it over; from the topic's beginning where our position is gone.

        Raises: LogUnavailable, TopicMissing.
        """
        try:
            self._follow_wish()
            if self._reader is None:
                self._reader = self._log.reader(self.topic, {0: self._position})
            records = self._reader.read(RECORDS_MAX, WAIT_MS)
        except LogUnavailable:
            self.close()
            raise
        except PositionLost as lost:
            self.close()
            self._position = self._log.begin(self.topic, 0)
            self._put((TopicRestarted(self.topic, self._position),))
            raise LogUnavailable(str(lost)) from lost
        if records:
            self._position = records[-1].offset + 1
            self._put(tuple(records))

    def _follow_wish(self) -> None:
        """Go to where we were asked to read from; what the log has deleted there is no loss of a position of ours."""
        again_from = self._again_from
        if again_from is not None:
            self.close()
            self._position = max(again_from, self._log.begin(self.topic, 0))
            if self._again_from == again_from:
                self._again_from = None

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def read_to_end(log: Log, topic: str, position: int) -> Iterator[LogRecord]:
    """Everything from `position` to the end that the topic has now; again from its beginning, where a position is gone:
    retention may take it between any two steps. A batch at a time is held: whoever writes into the topic must not
    fill our memory.

    Raises: LogUnavailable, also where its beginning moves each time; TopicMissing.
    """
    for _ in range(BEGINNINGS_MAX):
        try:
            yield from _read_to_end(log, topic, position)
        except PositionLost:
            position = log.begin(topic, 0)
        else:
            return
    raise LogUnavailable(f"The beginning of {topic} moves each time that it is read.")


def _read_to_end(log: Log, topic: str, position: int) -> Iterator[LogRecord]:
    with closing(log.reader(topic, {0: position})) as reader:
        while not reader.at_end():
            yield from reader.read(RECORDS_MAX, WAIT_MS)
