"""Settings of a real broker's topics that would lose data are noticed."""

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from backbone.log import LogUnavailable, TopicMissing, TopicSpec
from backbone.log.kafka import KafkaLog
from backbone.topics import added_partitions, chain_topics, check_topic
from tests.patience import WAIT_S

pytestmark = pytest.mark.kafka

HARMFUL = {
    "cleanup.policy": "compact",
    "retention.ms": "86400000",
    "retention.bytes": "1000000000",
    "unclean.leader.election.enable": "true",
    "max.message.bytes": "100000",
    "compression.type": "producer",
}


@pytest.fixture
def log(kafka_bootstrap: str) -> Iterator[KafkaLog]:
    with closing(KafkaLog({"bootstrap.servers": kafka_bootstrap})) as log:
        yield log


@pytest.fixture
def spec(log: KafkaLog) -> TopicSpec:
    """The transactions topic of a new chain."""
    spec = chain_topics(f"c{uuid4().hex}", ["v1"], 2, 1)[0]
    log.create([spec])
    return spec


@pytest.fixture
def admin(kafka_bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka_bootstrap, "log_level": "0"})


def alter(admin: AdminClient, topic: str, settings: dict[str, str]) -> None:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        assert future.result(WAIT_S) is None


def problems_once_they_are(log: KafkaLog, spec: TopicSpec, count: int) -> list[str]:
    """The problems when there are so many: a broker learns of a change a little later."""
    deadline = time.monotonic() + WAIT_S
    while len(problems := check_topic(log.describe(spec.name), spec)) != count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(problems) == count
    return problems


def test_every_harmful_setting_is_named_and_its_remedy_heals_it(
    log: KafkaLog, spec: TopicSpec, admin: AdminClient
) -> None:
    alter(admin, spec.name, HARMFUL)
    problems = problems_once_they_are(log, spec, len(HARMFUL))
    remedies = dict(problem.rpartition("--add-config ")[2].split("=") for problem in problems)
    assert remedies.keys() == HARMFUL.keys()
    alter(admin, spec.name, remedies)
    assert problems_once_they_are(log, spec, 0) == []


def test_record_that_is_small_only_while_it_is_packed_is_refused(spec: TopicSpec, kafka_bootstrap: str) -> None:
    """A hundred megabytes of zeros pack to a hundred kilobytes: every node would unpack them, to no end."""
    found: list[KafkaError | None] = []
    producer = Producer(
        {"bootstrap.servers": kafka_bootstrap, "compression.type": "gzip", "message.max.bytes": "67108864"}
    )
    producer.produce(spec.name, bytes(8 << 20), on_delivery=lambda error, _: found.append(error))
    assert producer.flush(WAIT_S) == 0
    (error,) = found
    assert error is not None
    assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE


def test_added_partitions_are_noticed(log: KafkaLog, spec: TopicSpec, admin: AdminClient) -> None:
    (future,) = admin.create_partitions([NewPartitions(spec.name, 3)]).values()
    assert future.result(WAIT_S) is None
    with closing(log.producer()) as producer:
        while not log.ends(spec.name).get(2):
            with suppress(LogUnavailable):
                producer.send(spec.name, 2, b"of a producer that asks the broker where to put it")
                producer.flush(1_000)
    (problem,) = added_partitions(spec.name, 2, log.ends(spec.name))
    assert "3 partitions, not 2" in problem
    assert " 1 records" in problem
    assert check_topic(log.describe(spec.name), spec) == [], "no start is refused for it"


def test_topics_that_a_cluster_refuses_leave_none_behind(log: KafkaLog) -> None:
    good, bad = (TopicSpec(f"momus.refused.{uuid4().hex}", 1, {}, replicas) for replicas in (1, 9))
    with pytest.raises(LogUnavailable, match="eplication"):
        log.create([good, bad])
    with pytest.raises(TopicMissing):
        log.describe(good.name)
