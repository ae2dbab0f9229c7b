"""What the log on Kafka says when it cannot go on."""

import socket
import time
from contextlib import closing
from uuid import uuid4

import pytest

from backbone.log import LogProducer, LogReader, LogUnavailable, PositionLost, TopicSpec
from backbone.log.kafka import KafkaLog
from tests.patience import WAIT_S


@pytest.mark.kafka
def test_a_busy_partition_does_not_hide_that_another_is_lost(kafka_bootstrap: str) -> None:
    topic = f"momus.failures.{uuid4().hex}"
    with closing(KafkaLog({"bootstrap.servers": kafka_bootstrap})) as log, closing(log.producer()) as producer:
        log.create([TopicSpec(topic, 2)])
        for _ in range(5_000):
            producer.send(topic, 1, b"busy")
        assert producer.flush(30_000) == 0
        with closing(log.reader(topic, {0: 7, 1: 0})) as reader:
            with pytest.raises(PositionLost, match="Offset 7"):
                _read_while_busy(reader, producer, topic)
            with pytest.raises(PositionLost, match="Offset 7"):
                reader.read(1, 1_000)


@pytest.mark.kafka
def test_poll_waits_for_a_delivery_whatever_else_happens_meanwhile(kafka_bootstrap: str) -> None:
    topic = f"momus.failures.{uuid4().hex}"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        servers = f"127.0.0.1:{nobody.getsockname()[1]},{kafka_bootstrap}"
        with closing(KafkaLog({"bootstrap.servers": servers})) as log, closing(log.producer()) as producer:
            log.create([TopicSpec(topic, 1)])
            producer.send(topic, 0, b"v")
            assert producer.poll(30_000) == 1
            assert producer.poll(1) == 0


@pytest.mark.kafka
def test_a_connection_that_the_broker_refuses_is_told_with_its_reason(kafka_bootstrap: str) -> None:
    properties = {"bootstrap.servers": kafka_bootstrap, "security.protocol": "SSL"}
    with closing(KafkaLog(properties, timeout_ms=1_000)) as log, pytest.raises(LogUnavailable, match="SSL"):
        log.cluster_id()


def test_an_address_where_nobody_listens_is_named_with_the_reason() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with closing(KafkaLog({"bootstrap.servers": address}, timeout_ms=500)) as log:
            with pytest.raises(LogUnavailable, match=rf"{address}.*refused"):
                log.cluster_id()
            with pytest.raises(LogUnavailable, match=rf"{address}.*refused"):
                log.reader("momus.any", {0: 0})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("no.such.property", "1", "no.such.property"),
        ("socket.keepalive.enable", "perhaps", "socket.keepalive.enable"),
        ("max.in.flight.requests.per.connection", "6", "max.in.flight"),
        ("fetch.max.bytes", "1000", "fetch.max.bytes"),
    ],
)
def test_properties_that_some_client_does_not_take_are_refused_at_once(name: str, value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        KafkaLog({"bootstrap.servers": "127.0.0.1:1", name: value})


@pytest.mark.kafka
def test_what_safety_rests_on_cannot_be_configured_away(kafka_bootstrap: str) -> None:
    weak = {"acks": "0", "enable.idempotence": "false", "auto.offset.reset": "earliest"}
    topic = f"momus.failures.{uuid4().hex}"
    with closing(KafkaLog({"bootstrap.servers": kafka_bootstrap} | weak)) as log:
        log.create([TopicSpec(topic, 1)])
        with closing(log.reader(topic, {0: 3})) as reader, pytest.raises(PositionLost):
            reader.read(1, 20_000)


def _read_while_busy(reader: LogReader, producer: LogProducer, topic: str) -> None:
    """Read a record at a time, never to the end, until an error comes."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        producer.send(topic, 1, b"busy")
        producer.poll(0)
        reader.read(1, 1_000)
