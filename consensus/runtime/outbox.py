"""What is on its way to the log: kept until acknowledged, tried again where the log refused it."""

from collections import deque
from collections.abc import Callable
from typing import Final

from backbone.log import Delivery, LogBackPressure, LogProducer

QUEUE_MAX: Final = 10_000
"""Records that wait for the log. Beyond it new ones are dropped: a stall makes the core say them again."""


class Outbox:
    """Sends single-partition records in order. Used by the loop's thread only."""

    def __init__(self, producer: LogProducer, flush_ms: int) -> None:
        """`flush_ms`: how long `close` waits for what is on its way."""
        self._producer = producer
        self._flush_ms = flush_ms
        self._waiting: deque[tuple[str, bytes]] = deque()
        self.dropped = 0
        self.failed = 0
        self.acknowledged = 0
        self.under_way = 0
        """Given to the log, and not acknowledged."""
        self.error = ""
        """Of the last record that the log did not take; empty once it has taken another."""

    def send(self, topic: str, value: bytes) -> None:
        """Queue a record."""
        if len(self._waiting) >= QUEUE_MAX:
            self.dropped += 1
            return
        self._waiting.append((topic, value))

    def pump(self) -> None:
        """Give the log what it takes, and learn what became of what it took."""
        while self._waiting:
            topic, value = self._waiting[0]
            try:
                self._producer.send(topic, 0, value, None, self._on_delivery(topic, value))
            except LogBackPressure:
                break
            self._waiting.popleft()
            self.under_way += 1
        self._producer.poll(0)

    @property
    def waiting(self) -> int:
        """How many the log has not been given yet."""
        return len(self._waiting)

    def close(self) -> None:
        """Send what is left, within the time, and close the producer."""
        self.pump()
        self._producer.flush(self._flush_ms)
        self._producer.close()

    def _on_delivery(self, topic: str, value: bytes) -> Callable[[Delivery], None]:
        def done(delivery: Delivery) -> None:
            self.under_way -= 1
            if delivery.error is None:
                self.acknowledged += 1
                self.error = ""
            else:
                self.failed += 1
                self.error = delivery.error
                self.send(topic, value)

        return done
