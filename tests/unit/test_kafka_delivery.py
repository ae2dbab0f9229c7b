"""What the producer makes of a report of librdkafka."""

from confluent_kafka import KafkaError, Message

from backbone.log import Delivery
from backbone.log.kafka_producer import delivery_of

NO_OFFSET = -1001
"""RD_KAFKA_OFFSET_INVALID."""


def test_a_record_acknowledged_at_an_offset_is_delivered_there() -> None:
    assert delivery_of(None, Message(topic="t", partition=2, offset=7)) == Delivery("t", 2, 7, None)


def test_a_record_acknowledged_without_its_offset_counts_as_not_delivered() -> None:
    delivery = delivery_of(None, Message(topic="t", partition=2, offset=NO_OFFSET))
    assert delivery == Delivery("t", 2, -1, "acknowledged without its offset")


def test_a_failed_record_says_why() -> None:
    error = KafkaError(KafkaError._MSG_TIMED_OUT)
    delivery = delivery_of(error, Message(topic="t", partition=2, offset=NO_OFFSET))
    assert delivery == Delivery("t", 2, -1, error.str())
