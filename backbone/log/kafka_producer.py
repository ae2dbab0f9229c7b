"""Sending to Kafka: acknowledged by all in-sync replicas, each record once, in order per partition."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from backbone.log import Delivery, LogBackPressure, LogUnavailable, sentences
from backbone.log.kafka_admin import Admin

_DEFAULTS: Final = {
    "linger.ms": "1",
    "queue.buffering.max.messages": "100000",
    "queue.buffering.max.kbytes": "262144",
}
_FIXED: Final = {
    "acks": "all",
    "enable.idempotence": "true",
    # What is too large is for the topic's own limit to say.
    "message.max.bytes": "67108864",
}

_Callback = Callable[[Delivery], None] | None


def check_producer(properties: Mapping[str, str]) -> None:
    """Raises: KafkaException for properties that a producer does not take, alone or together."""
    Producer(_DEFAULTS | dict(properties) | _FIXED | {"error_cb": lambda error: None}).close()


class KafkaProducer:
    """See `LogProducer`. Lost connections are healed within; only a fatal error ends it (LogUnavailable)."""

    def __init__(self, properties: Mapping[str, str], admin: Admin) -> None:
        self._admin = admin
        self._partitions: dict[str, int] = {}
        self._refused: deque[tuple[Delivery, _Callback]] = deque()
        self._served = 0
        self._fatal: str | None = None
        self._is_closed = False
        self._producer = Producer(_DEFAULTS | dict(properties) | _FIXED | {"error_cb": self._on_error})

    def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
        key: bytes | None = None,
        on_delivery: _Callback = None,
    ) -> None:
        """See `LogProducer`. The first record for a topic asks the cluster for it. Raises also: LogUnavailable."""
        if topic not in self._partitions:
            self._partitions[topic] = self._admin.identity(topic)[1]
        if not 0 <= partition < self._partitions[topic]:
            self._refuse(topic, partition, sentences.no_partition(topic, partition), on_delivery)
            return
        try:
            self._producer.produce(topic, value, key, partition, on_delivery=partial(self._serve, on_delivery))
        except BufferError as error:
            raise LogBackPressure(sentences.FULL) from error
        except KafkaException as error:
            if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                raise LogUnavailable(f"Kafka takes no records: {error.args[0].str()}.") from error
            self._refuse(topic, partition, f"{len(value)} bytes: {error.args[0].str()}", on_delivery, True)

    def poll(self, timeout_ms: int) -> int:
        """See `LogProducer`. Raises: LogUnavailable."""
        before, deadline = self._served, time.monotonic() + timeout_ms / 1000
        self._serve_refused()
        with self._ended():
            self._producer.poll(0)
            while self._served == before and self._fatal is None and (left_s := deadline - time.monotonic()) > 0:
                # It returns after any event, also a connection's.
                self._producer.poll(left_s)
        self._check_fatal()
        return self._served - before

    def flush(self, timeout_ms: int) -> int:
        """See `LogProducer`. Raises: LogUnavailable."""
        deadline = time.monotonic() + timeout_ms / 1000
        self._serve_refused()
        with self._ended():
            self._producer.poll(0)
            # Not by librdkafka's own flush, which loses a fatal error that it meets.
            while len(self._producer) and self._fatal is None and (left_s := deadline - time.monotonic()) > 0:
                self._producer.poll(left_s)
        self._check_fatal()
        return len(self._producer) + len(self._refused)

    def close(self) -> None:
        """What was not flushed is given up; no callback is called any more."""
        if not self._is_closed:
            self._is_closed = True
            self._producer.purge()
            self._producer.close()

    def _refuse(self, topic: str, partition: int, why: str, on_delivery: _Callback, is_too_large: bool = False) -> None:
        self._refused.append((Delivery(topic, partition, -1, why, is_too_large), on_delivery))

    def _serve_refused(self) -> None:
        for _ in range(len(self._refused)):
            delivery, on_delivery = self._refused.popleft()
            self._served += 1
            if on_delivery is not None:
                on_delivery(delivery)

    def _serve(self, on_delivery: _Callback, error: KafkaError | None, message: Message) -> None:
        if self._is_closed:
            return
        self._served += 1
        if on_delivery is not None:
            on_delivery(delivery_of(error, message))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error.str()

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """A fatal error may be raised by whatever serves events, as well as told to `_on_error`."""
        try:
            yield
        except KafkaException as error:
            self._fatal = error.args[0].str()

    def _check_fatal(self) -> None:
        if self._fatal is not None:
            raise LogUnavailable(f"Kafka ended this producer; open another one: {self._fatal}.")


def delivery_of(error: KafkaError | None, message: Message) -> Delivery:
    """What a report of librdkafka says.

    A batch that a broker had, and whose answer got lost, can be acknowledged without its offset: then it is None.
    """
    topic, partition = cast("tuple[str, int]", (message.topic(), message.partition()))
    offset = message.offset()
    if error is not None:
        return Delivery(topic, partition, -1, error.str(), error.code() == KafkaError.MSG_SIZE_TOO_LARGE)
    if offset is None or offset < 0:
        return Delivery(topic, partition, -1, "acknowledged without its offset")
    return Delivery(topic, partition, offset, None)
