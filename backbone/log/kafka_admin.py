"""Questions to a Kafka cluster about itself and its topics, with Kafka's errors as the port names them."""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from backbone.log import LogUnavailable, TopicExists, TopicInfo, TopicMissing, TopicSpec, sentences

SETTLE_MS: Final = 20_000
"""How long a created or deleted topic may take to be seen as such."""
_RETRY_S: Final = 0.05

MISSING: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)


_DEFAULTS: Final = {"topic.metadata.refresh.interval.ms": "1000"}
"""Questions go to the broker that the last answer named as controller. Where that one is gone, and with a client that
has no topics of its own, nothing else asks again for the next five minutes."""
_SILENCE: Final = frozenset({KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN})

_LEADERLESS: Final = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})
_LEADER_S: Final = 0.05


class Admin:
    """One admin client; any thread may use it. Every question is answered or fails within about `timeout_ms`."""

    def __init__(self, properties: Mapping[str, str], timeout_ms: int) -> None:
        self._servers = properties.get("bootstrap.servers", "")
        self._last_error = ""
        # Without a callback, librdkafka would print errors.
        configuration: dict[str, Any] = _DEFAULTS | dict(properties) | {"error_cb": self._on_error}
        self._client = AdminClient(configuration)
        self._timeout_s = timeout_ms / 1000

    def cluster_id(self) -> str:
        """Raises: LogUnavailable."""
        described = self._answer(self._client.describe_cluster(request_timeout=self._timeout_s), "")
        return str(described.cluster_id)

    def describe(self, topic: str) -> TopicInfo:
        """Raises: TopicMissing, LogUnavailable."""
        described = self._answer(self.ask(topic), topic)
        resource = ConfigResource(ResourceType.TOPIC, topic)
        futures = self._client.describe_configs([resource], request_timeout=self._timeout_s)
        entries = self._answer(futures[resource], topic)
        settings = {name: entry.value for name, entry in entries.items() if entry.value is not None}
        replicas = min(len(partition.replicas) for partition in described.partitions)
        return TopicInfo(topic, str(described.topic_id), len(described.partitions), replicas, settings)

    def identity(self, topic: str) -> tuple[str, int]:
        """Id and number of partitions. Raises: TopicMissing, LogUnavailable."""
        described = self._answer(self.ask(topic), topic)
        return str(described.topic_id), len(described.partitions)

    def begin(self, topic: str, partition: int) -> int:
        """The first offset that a partition holds. Raises: TopicMissing, LogUnavailable."""
        if not 0 <= partition < self.identity(topic)[1]:
            raise TopicMissing(sentences.no_partition(topic, partition))
        earliest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        return self._offsets(topic, [partition], earliest)[partition]

    def ends(self, topic: str) -> dict[int, int]:
        """The offset that each partition will give next. Raises: TopicMissing, LogUnavailable."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        return self._offsets(topic, range(self.identity(topic)[1]), latest)

    def _offsets(self, topic: str, partitions: Iterable[int], which: OffsetSpec) -> dict[int, int]:
        """Asked again while a partition's leader is not known yet, as just after its topic was made."""
        places = {partition: TopicPartition(topic, partition) for partition in partitions}
        deadline = time.monotonic() + self._timeout_s
        while True:
            futures = self._client.list_offsets(dict.fromkeys(places.values(), which), request_timeout=self._timeout_s)
            try:
                return {
                    partition: int(self._answer(futures[place], topic).offset) for partition, place in places.items()
                }
            except LogUnavailable as error:
                if not _is_leaderless(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(_LEADER_S)

    def ask(self, topic: str) -> "Future[Any]":
        """The description of a topic, when it comes; to be read with `topic_id_of`."""
        try:
            futures = self._client.describe_topics(TopicCollection([topic]), request_timeout=self._timeout_s)
        except (ValueError, KafkaException) as error:
            raise TopicMissing(f"{topic!r} is no name of a topic.") from error
        return futures[topic]

    def topic_id_of(self, answer: "Future[Any]", topic: str) -> str:
        """Raises: TopicMissing, LogUnavailable."""
        return str(self._answer(answer, topic).topic_id)

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """All of them or, where one is there already or refused, none. Raises: TopicExists, LogUnavailable."""
        self._create(specs, validate_only=True)
        made: list[str] = []
        try:
            for spec in specs:
                self._create([spec], validate_only=False)
                made.append(spec.name)
            for spec in specs:
                self._settle(spec)
        except (TopicExists, LogUnavailable):
            for future in self._client.delete_topics(made).values() if made else ():
                future.exception(self._timeout_s)
            raise

    def delete(self, topics: Sequence[str]) -> None:
        """Raises: TopicMissing, LogUnavailable."""
        if not topics:
            return
        for topic, future in self._client.delete_topics(list(topics), request_timeout=self._timeout_s).items():
            self._answer(future, topic)
        for topic in topics:
            self._await_gone(topic)

    def close(self) -> None:
        """Connections end with the object."""

    def _create(self, specs: Sequence[TopicSpec], validate_only: bool) -> None:
        new = [NewTopic(spec.name, spec.partitions, spec.replicas, config=dict(spec.settings)) for spec in specs]
        if new:
            futures = self._client.create_topics(new, request_timeout=self._timeout_s, validate_only=validate_only)
            for topic, future in futures.items():
                self._answer(future, topic)

    def _settle(self, spec: TopicSpec) -> None:
        """Wait until every partition is seen and has a leader."""
        deadline = time.monotonic() + SETTLE_MS / 1000
        while time.monotonic() < deadline:
            try:
                partitions = self._answer(self.ask(spec.name), spec.name).partitions
                if len(partitions) == spec.partitions and all(p.leader is not None for p in partitions):
                    return
            except TopicMissing:
                pass
            time.sleep(_RETRY_S)
        raise LogUnavailable(f"The topic {spec.name} was created, but cannot be used after {SETTLE_MS} ms.")

    def _await_gone(self, topic: str) -> None:
        deadline = time.monotonic() + SETTLE_MS / 1000
        while time.monotonic() < deadline:
            try:
                self.identity(topic)
            except TopicMissing:
                return
            time.sleep(_RETRY_S)
        raise LogUnavailable(f"The topic {topic} was deleted, but is still seen after {SETTLE_MS} ms.")

    def _answer(self, future: "Future[Any]", topic: str) -> Any:
        try:
            return future.result(self._timeout_s + 1)
        except KafkaException as error:
            if error.args[0].code() in _SILENCE:
                raise self._silence() from error
            raise translated(error.args[0], topic) from error
        except FutureTimeout as error:
            raise self._silence() from error

    def _silence(self) -> LogUnavailable:
        """What connecting met, since a time limit alone tells nobody what to do."""
        self._client.poll(0)
        return LogUnavailable(f"Kafka at {self._servers} does not answer{self._last_error}.")

    def _on_error(self, error: KafkaError) -> None:
        if error.code() not in _SILENCE:
            self._last_error = f": {error.str()}"


def translated(error: KafkaError, topic: str) -> Exception:
    """Kafka's error as the port's, for a question about `topic` or, where that is empty, the cluster."""
    if topic and error.code() in MISSING:
        return TopicMissing(sentences.missing(topic))
    if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
        return TopicExists(sentences.exists(topic))
    about = f" about the topic {topic}" if topic else ""
    return LogUnavailable(f"Kafka did not answer{about}: {error.str()} ({error.name()}).")


def _is_leaderless(error: LogUnavailable) -> bool:
    cause = error.__cause__
    return isinstance(cause, KafkaException) and cause.args[0].code() in _LEADERLESS
