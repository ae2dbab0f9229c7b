"""The fenced writer on Kafka: a transactional id is the fence, and a transaction holds a batch.

That a batch is there once rests on what the topic holds when a writer is made, and not on Kafka's transactions alone:
its owner goes on from there.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from backbone.log import LogRecord, LogUnavailable, TopicMissing
from backbone.log.fenced import Fenced, Item, windows
from backbone.log.kafka_admin import MISSING, Admin

IDENTITY_S: Final = 2.0
"""How often the topic's id is asked for: one that was made anew is empty, and takes records all the same."""
TRANSACTION_MS: Final = 30_000
_POLL_S: Final = 0.1
_QUEUE_S: Final = 0.05

_FIXED: Final = {
    "acks": "all",
    "enable.idempotence": "true",
    "message.max.bytes": "67108864",
    "transaction.timeout.ms": str(TRANSACTION_MS),
    "linger.ms": "5",
}
_READING: Final = {
    "group.id": "momus",  # The client wants one; without subscription and commits it is never used.
    "enable.auto.commit": "false",
    "enable.partition.eof": "true",
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "allow.auto.create.topics": "false",
}
_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    }
)


class KafkaFencedWriter:
    """See `FencedWriter`."""

    def __init__(self, properties: Mapping[str, str], admin: Admin, topic: str, name: str, timeout_ms: int) -> None:
        """Ends whatever an earlier writer of this name had begun. Raises: TopicMissing, LogUnavailable."""
        self._properties = dict(properties)
        self._admin = admin
        self._topic = topic
        self._timeout_s = timeout_ms / 1000
        self._topic_id = admin.identity(topic)[0]
        self._asked_at = time.monotonic()
        self._failure: KafkaError | None = None
        configuration: dict[str, Any] = {**self._properties, **_FIXED, "transactional.id": name, "error_cb": _unheard}
        self._producer = Producer(configuration)
        self._must(self._producer.init_transactions, self._timeout_s)

    def newest_first(self) -> Iterator[LogRecord]:
        """See `FencedWriter`."""
        begin, end = self._admin.begin(self._topic, 0), self._admin.ends(self._topic)[0]
        for low, high in windows(begin, end):
            yield from reversed(self._committed(low, high, end))

    def append(self, items: Sequence[Item]) -> None:
        """See `FencedWriter`."""
        self._check_identity()
        self._must(self._producer.begin_transaction)
        for key, value in items:
            self._produce(key, value)
        self._must(self._producer.commit_transaction, self._timeout_s)

    def close(self) -> None:
        """What was not committed is gone: the next writer ends it."""
        # Of a fenced producer, `close` says again that it is fenced, in one way or the other.
        with suppress(KafkaException, SystemError):
            self._producer.close()

    def _produce(self, key: bytes, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key, partition=0, on_delivery=self._on_delivery)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(_QUEUE_S)
            except KafkaException as error:
                raise self._as_ours(error.args[0]) from error

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        self._failure = self._failure or error

    def _must(self, step: Callable[..., object], *arguments: object) -> None:
        try:
            step(*arguments)
        except KafkaException as error:
            raise self._as_ours(self._failure or error.args[0]) from error

    def _as_ours(self, error: KafkaError) -> Exception:
        if error.code() in _FENCED:
            return Fenced(f"Another process writes the topic {self._topic} under the same name.")
        if error.code() in MISSING:
            return TopicMissing(f"The topic {self._topic} does not exist.")
        return LogUnavailable(f"Kafka did not take records for {self._topic}: {error.str()}.")

    def _check_identity(self) -> None:
        now = time.monotonic()
        if now - self._asked_at >= IDENTITY_S:
            self._asked_at = now
            if self._admin.identity(self._topic)[0] != self._topic_id:
                raise LogUnavailable(f"The topic {self._topic} was made anew.")

    def _committed(self, low: int, high: int, end: int) -> list[LogRecord]:
        """Records of committed transactions in [low, high); that the topic is readable up to `end` is waited for.

        It is not while somebody has a transaction open in it: then committed records above are not seen either.
        """
        configuration: dict[str, Any] = {**self._properties, **_READING, "error_cb": _unheard}
        consumer = Consumer(configuration)
        try:
            consumer.assign([TopicPartition(self._topic, 0, low)])
            return self._read(consumer, high, end)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, high: int, end: int) -> list[LogRecord]:
        found: list[LogRecord] = []
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline:
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            error, offset = message.error(), cast(int, message.offset())
            if error is None:
                if offset >= high:
                    return found
                found.append(LogRecord(self._topic, 0, offset, message.key(), message.value()))
            elif error.code() != KafkaError._PARTITION_EOF:
                raise self._as_ours(error)
            elif offset >= end:
                return found
        raise LogUnavailable(f"The topic {self._topic} cannot be read to its end: a transaction in it is open.")


def _unheard(error: KafkaError) -> None:
    """What matters shows as an exception."""
