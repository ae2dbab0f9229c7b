"""Appends records to the log as fast as it takes them, and tells when the last of them is final and executed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from backbone.log import Delivery, Log, LogBackPressure, LogProducer
from client import HeightWatch
from lab.bench.load import LogEntry
from lab.bench.watch import BenchFailed, FinalWatch
from ledger.genesis import Genesis
from ledger.header import Header

WAIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Injected:
    """Seconds from the first append until the last one is final, and until its rows are committed in every database."""

    final_s: float
    executed_s: float


class Injector:
    """Appends, and learns from `watch` which height covers what it appended."""

    def __init__(self, log: Log, genesis: Genesis, watch: FinalWatch, databases: Sequence[HeightWatch]) -> None:
        self._log = log
        self._genesis = genesis
        self._watch = watch
        self._databases = databases
        self._ends: dict[int, int] = {}
        self._error = ""

    def run(self, entries: Sequence[LogEntry]) -> Injected:
        """Append all and wait for all of them. Raises: BenchFailed."""
        started_at = time.monotonic()
        header = self.finalize(entries)
        final_at = time.monotonic()
        executed_at = max(executed(heights, header.height, WAIT_S) for heights in self._databases)
        return Injected(final_at - started_at, executed_at - started_at)

    def finalize(self, entries: Sequence[LogEntry]) -> Header:
        """Append all and wait until all is final; a header that covers it. Raises: BenchFailed."""
        self._append(entries)
        return self._watch.until(self._is_covered, "the finality of everything appended", WAIT_S)

    def _append(self, entries: Sequence[LogEntry]) -> None:
        producer = self._log.producer()
        try:
            for entry in entries:
                self._send(producer, entry)
            if producer.flush(int(1000 * WAIT_S)) or self._error:
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

    def _is_covered(self, header: Header) -> bool:
        ends = {head.partition: head.end_offset for head in header.heads}
        return all(ends[partition] >= end for partition, end in self._ends.items())

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.error is not None:
            self._error = delivery.error
        else:
            self._ends[delivery.partition] = max(self._ends.get(delivery.partition, 0), delivery.offset + 1)


def executed(heights: HeightWatch, height: int, timeout_s: float) -> float:
    """When (`time.monotonic`) rows of `height` were there. Raises: BenchFailed where they do not come."""
    if not heights.wait(height, timeout_s):
        raise BenchFailed(f"the database stayed at height {heights.height}, below {height}")
    seen_at = heights.seen_at(height)
    assert seen_at is not None
    return seen_at
