"""Appends records to the log as fast as it takes them, and tells when the last of them is final and executed."""

import threading
import time
from collections.abc import Sequence

from backbone.log import Delivery, Log, LogBackPressure, LogProducer
from ledger.genesis import Genesis
from ledger.header import Header
from momus.bench.load import LogEntry
from momus.client import HeightWatch
from momus.client.follower import Follower

_WAIT_S = 600.0


class BenchFailed(RuntimeError):
    """A measurement did not come to its end; the message says where it stopped."""


class Injector:
    """Follows `blocks` beside its appending, so that it knows which height covers what it appended."""

    def __init__(self, log: Log, genesis: Genesis, heights: HeightWatch) -> None:
        self._log = log
        self._genesis = genesis
        self._heights = heights
        self._changed = threading.Condition()
        self._ends: dict[int, int] = {}
        self._header: Header | None = None
        self._error = ""
        self._follower = Follower(log, genesis, 0, lambda: True, self._on_header, self._on_stopped)
        self._follower.start()

    def close(self) -> None:
        """End the following."""
        self._follower.stop()

    def run(self, entries: Sequence[LogEntry]) -> float:
        """Seconds from the first append until the rows of the last one are committed. Raises: BenchFailed."""
        started_at = time.monotonic()
        self._append(entries)
        height = self._await_final()
        if not self._heights.wait(height, _WAIT_S):
            raise BenchFailed(f"the database stayed at height {self._heights.height}, below {height}")
        seen_at = self._heights.seen_at(height)
        assert seen_at is not None
        return seen_at - started_at

    def _append(self, entries: Sequence[LogEntry]) -> None:
        producer = self._log.producer()
        try:
            for entry in entries:
                self._send(producer, entry)
            if producer.flush(int(1000 * _WAIT_S)) or self._error:
                raise BenchFailed(f"the log did not take all records: {self._error or 'no answer'}")
        finally:
            producer.close()

    def _send(self, producer: LogProducer, entry: LogEntry) -> None:
        while True:
            try:
                producer.send(self._genesis.topic, entry.partition, entry.value, entry.key, self._on_delivery)
                return
            except LogBackPressure:
                producer.poll(10)

    def _await_final(self) -> int:
        """The height of a final header that covers everything appended."""
        with self._changed:
            if not self._changed.wait_for(self._is_covered, _WAIT_S) or self._header is None:
                raise BenchFailed(self._error or f"not everything was final after {_WAIT_S:g} s")
            return self._header.height

    def _is_covered(self) -> bool:
        if self._header is None:
            return bool(self._error)
        ends = {head.partition: head.end_offset for head in self._header.heads}
        return bool(self._error) or all(ends[partition] >= end for partition, end in self._ends.items())

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.error is not None:
            self._error = delivery.error
        else:
            self._ends[delivery.partition] = max(self._ends.get(delivery.partition, 0), delivery.offset + 1)

    def _on_header(self, header: Header) -> None:
        with self._changed:
            if self._header is None or header.height > self._header.height:
                self._header = header
            self._changed.notify_all()

    def _on_stopped(self, why: str) -> None:
        with self._changed:
            self._error = why
            self._changed.notify_all()
