"""Reading from Kafka at positions of our own: no group, no commits, no reset to another offset."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from backbone.log import READ_BYTES_MAX, LogRecord, LogUnavailable, PositionLost, TopicMissing, sentences
from backbone.log.kafka_admin import MISSING, Admin

IDENTITY_S: Final = 2.0
"""How often the topic's id is asked for; a recreated topic under the same name may show no error at all."""

_DEFAULTS: Final = {
    "group.id": "momus",  # The client wants one; without subscription and commits it is never used.
    "fetch.wait.max.ms": "100",
    "fetch.queue.backoff.ms": "5",
    "queued.max.messages.kbytes": "4096",
}
_FIXED: Final = {
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "enable.partition.eof": "true",
    "auto.offset.reset": "error",
    "isolation.level": "read_uncommitted",
    "allow.auto.create.topics": "false",
}
_LOST: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION})


def check_reader(properties: Mapping[str, str]) -> None:
    """Raises: KafkaException for properties that a reader does not take, alone or together."""
    Consumer(_DEFAULTS | dict(properties) | _FIXED | {"error_cb": lambda error: None}).close()


class KafkaReader:
    """See `LogReader`. It stays usable after LogUnavailable."""

    def __init__(self, properties: Mapping[str, str], admin: Admin, topic: str, positions: Mapping[int, int]) -> None:
        self._admin = admin
        self._topic = topic
        self._next = dict(positions)
        self._not_at_end = set(positions)
        self._topic_id, partitions = admin.identity(topic)
        if unknown := [partition for partition in positions if not 0 <= partition < partitions]:
            raise TopicMissing(sentences.no_partition(topic, unknown[0]))
        self._failure: Exception | None = None
        self._asked: Future[Any] | None = None
        self._asked_at = time.monotonic()
        self._consumer = Consumer(_DEFAULTS | dict(properties) | _FIXED | {"error_cb": self._on_error})
        self._consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in positions.items()])

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        """See `LogReader`."""
        deadline = time.monotonic() + timeout_ms / 1000
        while True:
            self._watch_identity()
            self._raise_failure()
            found = self._take(records_max, max(deadline - time.monotonic(), 0))
            if found and isinstance(self._failure, LogUnavailable):
                self._failure = None
            if found or (self._failure is None and time.monotonic() >= deadline):
                return found

    def at_end(self) -> bool:
        """See `LogReader`."""
        return not self._not_at_end

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def _fail(self, failure: Exception) -> None:
        """Note what the next `read` raises; a lost position is lost for good, whatever else goes wrong."""
        if not isinstance(self._failure, PositionLost):
            self._failure = failure

    def _raise_failure(self) -> None:
        """Before anything else is read: other partitions' records must not hide that one has stopped."""
        failure = self._failure
        if failure is not None:
            if not isinstance(failure, PositionLost):
                self._failure = None
            raise failure

    def _take(self, records_max: int, timeout_s: float) -> list[LogRecord]:
        """What is there after waiting for the first. Waiting for many at once would wait the whole time."""
        found: list[LogRecord] = []
        left_bytes = READ_BYTES_MAX
        try:
            message = self._consumer.poll(min(timeout_s, IDENTITY_S))
            while message is not None:
                record = self._record(message)
                if record is not None:
                    found.append(record)
                    left_bytes -= len(record.value or b"")
                is_full = len(found) >= records_max or left_bytes <= 0
                message = None if is_full or self._failure is not None else self._consumer.poll(0)
        except KafkaException as error:
            self._fail(LogUnavailable(f"Kafka's reader of {self._topic} failed: {error.args[0].str()}."))
        return found

    def _record(self, message: Message) -> LogRecord | None:
        """A record with its values copied out, or None for an event, which is noted."""
        error = message.error()
        if error is not None:
            self._note(error, cast(int, message.partition()))
            return None
        partition, offset = cast("tuple[int, int]", (message.partition(), message.offset()))
        self._next[partition] = offset + 1
        return LogRecord(self._topic, partition, offset, message.key(), message.value())

    def _note(self, error: KafkaError, partition: int) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self._not_at_end.discard(partition)
        elif error.code() in _LOST:
            holds = f"answers: {error.str()}"
            lost = sentences.lost(self._topic, partition, self._next[partition], holds)
            self._fail(PositionLost(lost, self._topic, partition))
        elif error.code() in MISSING:
            self._asked_at = 0.0
        else:
            self._fail(LogUnavailable(f"Kafka's reader of {self._topic} failed: {error.str()} ({error.name()})."))

    def _watch_identity(self) -> None:
        """Ask for the topic's id now and then, without waiting for the answer. Raises: TopicMissing, LogUnavailable."""
        if self._asked is not None:
            if self._asked.done():
                answer, self._asked = self._asked, None
                self._check_identity(answer)
        elif time.monotonic() - self._asked_at >= IDENTITY_S:
            self._asked_at = time.monotonic()
            self._asked = self._admin.ask(self._topic)

    def _check_identity(self, answer: "Future[Any]") -> None:
        if self._admin.topic_id_of(answer, self._topic) != self._topic_id:
            self._fail(PositionLost(sentences.recreated(self._topic), self._topic))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._fail(LogUnavailable(f"Kafka does not answer the reader of {self._topic}: {error.str()}."))
