"""A broker that is put back as it was some time ago: it has lost records, and what it knew of their producers."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from backbone.log import Delivery, LogUnavailable, TopicSpec
from backbone.log.kafka import KafkaLog
from backbone.log.kafka_producer import KafkaProducer
from node.embedded.broker import LocalBroker

TOPIC = "momus.put-back"
WAIT_MS = 60_000


@pytest.mark.kafka
@pytest.mark.soak
def test_a_producer_whose_records_the_broker_lost_is_ended_and_another_one_goes_on(folder: Path) -> None:
    with LocalBroker(folder / "kafka") as broker, closing(KafkaLog({"bootstrap.servers": broker.bootstrap})) as log:
        log.create([TopicSpec(TOPIC, 1)])
        with closing(log.producer()) as producer:
            assert [_sent(producer) for _ in range(3)] == [0, 1, 2]
            broker.stop()
            shutil.copytree(broker.folder / "data", folder / "copy")
            broker.start()
            assert [_sent(producer) for _ in range(3)] == [3, 4, 5]
            broker.kill()
            shutil.rmtree(broker.folder / "data")
            (folder / "copy").rename(broker.folder / "data")
            broker.start()
            with pytest.raises(LogUnavailable, match="ended this producer"):
                _sent(producer)
        with closing(log.producer()) as another:
            assert _sent(another) == 3


def _sent(producer: KafkaProducer) -> int:
    """The offset of one more record."""
    deliveries: list[Delivery] = []
    producer.send(TOPIC, 0, b"value", None, deliveries.append)
    assert producer.flush(WAIT_MS) == 0
    assert [delivery.error for delivery in deliveries] == [None]
    return deliveries[0].offset
