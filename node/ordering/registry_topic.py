"""The registry topic of a log, as discovery uses it: its tail is read, one own record at a time is sent."""

from collections.abc import Callable
from typing import Final

from backbone.log import Delivery, Log, LogProducer, LogReader, PositionLost

READ_RECORDS_MAX: Final = 1_000
"""In one batch."""
TAIL_RECORDS_MAX: Final = 5_000
"""Further from the end reading never begins: what lies before was said long ago."""
FULL_BATCHES_MAX: Final = 16
"""After so many full batches in a row it is asked where the end is, and what cannot be read in time is left out."""


class RegistryTopic:
    """By one thread. `close` after an error of the log: the next call opens anew.

    Every call may raise LogUnavailable, TopicMissing and, of reading, PositionLost.
    """

    def __init__(self, log: Log, topic: str) -> None:
        self._log = log
        self._topic = topic
        self._reader: LogReader | None = None
        self._producer: LogProducer | None = None
        self._next = -1
        self._full_batches = 0
        self.is_sending = False
        """Whether a record is on its way still."""
        self.acknowledged = 0
        self.refused = 0
        """Records that the log did not take."""
        self.skipped = 0
        """Records that were left out to keep up."""

    def read(self) -> list[bytes | None]:
        """The next values that are there now, in order."""
        if self._reader is None or self._full_batches >= FULL_BATCHES_MAX:
            self._open_reader()
        assert self._reader is not None
        try:
            found = self._reader.read(READ_RECORDS_MAX, 0)
        except PositionLost:
            self._next = -1
            raise
        self._full_batches = self._full_batches + 1 if len(found) >= READ_RECORDS_MAX else 0
        if found:
            self._next = found[-1].offset + 1
        return [record.value for record in found]

    def at_end(self) -> bool:
        """Whether everything that was there when reading began has been read, and no more waits for sure."""
        return self._reader is not None and self._reader.at_end() and not self._full_batches

    def send(self, key: bytes, value: bytes) -> None:
        """Begin to send an own record; none may be on its way. Raises also: LogBackPressure."""
        assert not self.is_sending
        if self._producer is None:
            self._producer = self._log.producer()
        self._producer.send(self._topic, 0, value, key, self._acknowledger())
        self.is_sending = True

    def serve(self) -> None:
        """See what became of the record on its way."""
        if self._producer is not None:
            self._producer.poll(0)

    def close(self) -> None:
        """Reader and producer; what is on its way is given up."""
        reader, producer = self._reader, self._producer
        self._reader = self._producer = None
        self.is_sending, self._full_batches = False, 0
        if reader is not None:
            reader.close()
        if producer is not None:
            producer.close()

    def _open_reader(self) -> None:
        """From where reading stands, or from the tail, whichever is nearer to the end."""
        self._full_batches = 0
        end = self._log.ends(self._topic)[0]
        tail = max(self._log.begin(self._topic, 0), end - TAIL_RECORDS_MAX)
        start = tail if self._next < 0 else max(tail, min(self._next, end))
        if self._reader is not None and start == self._next:
            return
        if self._next >= 0:
            self.skipped += max(0, start - self._next)
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._reader = self._log.reader(self._topic, {0: start})
        self._next = start

    def _acknowledger(self) -> Callable[[Delivery], None]:
        producer = self._producer

        def acknowledge(delivery: Delivery) -> None:
            if producer is not self._producer:
                return
            self.is_sending = False
            if delivery.error is None:
                self.acknowledged += 1
            else:
                self.refused += 1

        return acknowledge
