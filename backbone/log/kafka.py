"""The log on Apache Kafka, through confluent-kafka (librdkafka).

Any client property passes through to it (`security.protocol`, `sasl.mechanism`, ...); what safety or this port rests on
is set here and cannot be overridden. librdkafka's own log lines are off (`log_level` and `debug` bring them back):
what goes wrong shows as an exception of the port or as a delivery's error.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaException

from backbone.log import LogReader, TopicInfo, TopicSpec
from backbone.log.kafka_admin import Admin
from backbone.log.kafka_fenced import KafkaFencedWriter
from backbone.log.kafka_producer import KafkaProducer, check_producer
from backbone.log.kafka_reader import KafkaReader, check_reader

TIMEOUT_MS: Final = 10_000

_EVERYWHERE: Final = {
    "log_level": "0",
    "client.id": "momus",
    "reconnect.backoff.ms": "50",
    "reconnect.backoff.max.ms": "1000",
    "socket.keepalive.enable": "true",
}


class KafkaLog:
    """A connection to the cluster at `bootstrap.servers`; `timeout_ms` bounds every question to it.

    Nothing is asked yet. Raises: ValueError for a property that librdkafka does not know or take.
    """

    def __init__(self, properties: Mapping[str, str], timeout_ms: int = TIMEOUT_MS) -> None:
        self._properties = _EVERYWHERE | dict(properties)
        self._timeout_ms = timeout_ms
        try:
            self._admin = Admin(self._properties, timeout_ms)
            check_producer(self._properties)
            check_reader(self._properties)
        except KafkaException as error:
            raise ValueError(error.args[0].str()) from error

    def cluster_id(self) -> str:
        """See `Log`."""
        return self._admin.cluster_id()

    def describe(self, topic: str) -> TopicInfo:
        """See `Log`. The settings are all effective ones, defaults too."""
        return self._admin.describe(topic)

    def begin(self, topic: str, partition: int) -> int:
        """See `Log`."""
        return self._admin.begin(topic, partition)

    def ends(self, topic: str) -> Mapping[int, int]:
        """See `Log`."""
        return self._admin.ends(topic)

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """See `Log`. Returns when the topics can be used."""
        self._admin.create(specs)

    def delete(self, topics: Sequence[str]) -> None:
        """See `Log`. Returns when they are gone for every new client."""
        self._admin.delete(topics)

    def producer(self) -> KafkaProducer:
        """See `Log`."""
        return KafkaProducer(self._properties, self._admin)

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        """See `Log`."""
        return KafkaReader(self._properties, self._admin, topic, positions)

    def fenced_writer(self, topic: str, name: str) -> KafkaFencedWriter:
        """See `FencingLog`."""
        return KafkaFencedWriter(self._properties, self._admin, topic, name, self._timeout_ms)

    def close(self) -> None:
        """Producers and readers are closed on their own."""
        self._admin.close()
