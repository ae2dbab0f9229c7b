"""The thread that hands records to the log and takes its acknowledgements, through losses of the connection."""

import threading
import time
from collections.abc import Callable
from functools import partial

from backbone.log import Delivery, Log, LogBackPressure, LogProducer, LogUnavailable, TopicMissing
from client.outbox import Outbox, Record, alone
from ledger.genesis import Genesis

_POLL_MS = 5
_RETRY_MS = 500


class Sender:
    """Sends what the outbox holds. The log's producer is used by this thread alone.

    After a lost connection the producer is thrown away and every unacknowledged record is sent again, in the old
    order; late acknowledgements of the old producer are ignored. Nothing is sent before `begin`. `on_delivered` and
    `on_failed` are called with `changed` held.
    """

    def __init__(
        self,
        log: Log,
        genesis: Genesis,
        outbox: Outbox,
        changed: threading.Condition,
        retry_ms_max: int,
        final_end: Callable[[int], tuple[int, int]],
        on_delivered: Callable[[Record, int, tuple[int, int]], None],
        on_failed: Callable[[Record, str], None],
        on_stopped: Callable[[str], None],
    ) -> None:
        self._log = log
        self._topic = genesis.topic
        self._limits = genesis.limits
        self._outbox = outbox
        self._changed = changed
        self._retry_ms_max = retry_ms_max
        self._final_end = final_end
        self._on_delivered = on_delivered
        self._on_failed = on_failed
        self._on_stopped = on_stopped
        self._in_flight: dict[int, Record] = {}
        self._ends: dict[int, tuple[int, int]] = {}
        """How far a record's partition was final when it was sent: (incarnation, offset)."""
        self._serial = 0
        self._drain = False
        self._may_send = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="momus-sender", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def begin(self) -> None:
        """Send from now on. `changed` must be held."""
        self._may_send = True
        self._changed.notify_all()

    def drain(self) -> None:
        """Close open batches at once from now on. `changed` must be held."""
        self._drain = True
        self._changed.notify_all()

    def stop(self) -> None:
        """End the thread. What is unacknowledged then stays so."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        self._await_begin()
        while not self._stopping:
            try:
                producer = self._log.producer()
                try:
                    self._serve(producer)
                finally:
                    producer.close()
            except LogUnavailable as error:
                self._lose(str(error))
            except TopicMissing as error:
                self._on_stopped(f"The topic {self._topic} is missing: {error}")
                return

    def _await_begin(self) -> None:
        """What grows too old meanwhile is given up."""
        with self._changed:
            while not self._may_send and not self._stopping:
                self._again(self._outbox.take(time.monotonic(), self._drain), "how far the chain is, was not read")
                self._changed.wait(_RETRY_MS / 1000)

    def _serve(self, producer: LogProducer) -> None:
        while not self._stopping:
            for record in self._next_records():
                self._send(producer, record)
            if self._in_flight:
                producer.poll(_POLL_MS)

    def _next_records(self) -> list[Record]:
        """What is due. Waits (without holding the log up) while there is nothing to send or to poll for."""
        with self._changed:
            while self._outbox.is_empty and not self._in_flight and not self._stopping:
                self._changed.wait()
            records = self._outbox.take(time.monotonic(), self._drain)
            if not records and not self._in_flight and not self._stopping:
                self._changed.wait(_POLL_MS / 1000)
            return records

    def _send(self, producer: LogProducer, record: Record) -> None:
        self._serial += 1
        serial = self._serial
        self._in_flight[serial] = record
        self._ends[serial] = self._final_end(record.partition)
        taken = partial(self._delivered, serial)
        while not self._stopping:
            try:
                producer.send(self._topic, record.partition, record.value, record.key, taken)
                return
            except LogBackPressure:
                producer.poll(_POLL_MS)

    def _delivered(self, serial: int, delivery: Delivery) -> None:
        with self._changed:
            record, end = self._in_flight.pop(serial, None), self._ends.pop(serial, (0, 0))
            if record is None:
                return
            if delivery.error is None:
                self._on_delivered(record, delivery.offset, end)
            elif delivery.is_too_large:
                self._on_too_large(record, delivery.error)
            else:
                self._again([record], delivery.error)
            self._changed.notify_all()

    def _lose(self, why: str) -> None:
        with self._changed:
            records = [self._in_flight[serial] for serial in sorted(self._in_flight)]
            self._in_flight.clear()
            self._ends.clear()
            self._again(records, why)
            self._changed.notify_all()
            if not self._stopping:
                self._changed.wait(_RETRY_MS / 1000)

    def _on_too_large(self, record: Record, why: str) -> None:
        """Trying again changes nothing: a batch goes one by one, and what is one already is given up."""
        parts = alone(record, self._limits)
        if len(parts) > 1:
            self._outbox.add_again(parts)
        else:
            self._on_failed(record, why)

    def _again(self, records: list[Record], why: str) -> None:
        """Queue for another attempt what is young enough; give up the rest."""
        oldest = time.monotonic() - self._retry_ms_max / 1000
        self._outbox.add_again([record for record in records if record.first_at > oldest])
        for record in records:
            if record.first_at <= oldest:
                self._on_failed(record, why)
