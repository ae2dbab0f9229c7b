"""Threads that read: each puts what it finds into the loop's queue, and waits while that is full."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Full, Queue
from threading import Event, Thread
from typing import Final, Protocol

from backbone.intake import Advance
from backbone.log import Log, LogReader, LogRecord, LogUnavailable
from ledger.header import Head

WAIT_MS: Final = 100
RETRY_MS: Final = 200


class IntakePort(Protocol):
    """`backbone.intake.Intake`, as far as the driver uses it."""

    def backlog(self) -> Sequence[Advance]: ...
    def pump(self, records_max: int, timeout_ms: int) -> Sequence[Advance]: ...
    def on_final(self, heads: Sequence[Head]) -> None: ...
    def reread(self, partition: int, from_offset: int) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Failed:
    """A reading thread met an error that waiting does not heal."""

    error: Exception


class Reading:
    """The threads of one driver; `items` is their common queue."""

    def __init__(self, items: "Queue[object]") -> None:
        self._items = items
        self._stop = Event()
        self._threads: list[Thread] = []

    def start(
        self, name: str, body: Callable[[], None], close: Callable[[], None], errors: tuple[type[Exception], ...]
    ) -> None:
        """Run `body` again and again in a thread, with a pause where the log is unavailable; `close` at the end."""

        def loop() -> None:
            while not self._stop.is_set():
                try:
                    body()
                except LogUnavailable:
                    self._stop.wait(RETRY_MS / 1000)
                except errors as error:
                    self.put(Failed(error))
                    break
            close()

        thread = Thread(target=loop, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def put(self, item: object) -> None:
        """Hand over to the loop; waits while its queue is full, until stopped."""
        while not self._stop.is_set():
            try:
                return self._items.put(item, timeout=WAIT_MS / 1000)
            except Full:
                continue
        return None

    def stop(self) -> None:
        """End all threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


class TopicTail:
    """Reads one single-partition topic on and on; opens its reader anew after the log was unavailable."""

    def __init__(self, log: Log, topic: str, position: int, put: Callable[[object], None]) -> None:
        self._log = log
        self._topic = topic
        self._position = position
        self._put = put
        self._reader: LogReader | None = None

    def read(self) -> None:
        """Read a batch and hand it over. Raises: LogUnavailable, PositionLost, TopicMissing."""
        try:
            if self._reader is None:
                self._reader = self._log.reader(self._topic, {0: self._position})
            records = self._reader.read(500, WAIT_MS)
        except LogUnavailable:
            self.close()
            raise
        if records:
            self._position = records[-1].offset + 1
            self._put(tuple(records))

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def read_to_end(log: Log, topic: str, position: int) -> list[LogRecord]:
    """Everything from `position` to the end that the topic has now. Raises: LogUnavailable, PositionLost."""
    reader = log.reader(topic, {0: position})
    try:
        found: list[LogRecord] = []
        while not reader.at_end():
            found.extend(reader.read(1_000, WAIT_MS))
        return found
    finally:
        reader.close()
