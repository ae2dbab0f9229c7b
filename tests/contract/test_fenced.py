"""Fenced writers on the logs that have them."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import KafkaException, Producer

from backbone.log import LogUnavailable
from backbone.log.embedded import EmbeddedLog
from backbone.log.fenced import FencedWriter, FencingLog
from backbone.log.kafka import KafkaLog
from backbone.log.kafka_fenced import IDENTITY_S, KafkaFencedWriter
from tests.contract.fenced_contract import FencedContract, items, values, written


class TestEmbedded(FencedContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> FencingLog:
        return EmbeddedLog(tmp_path)


@pytest.mark.kafka
class TestKafka(FencedContract):
    @pytest.fixture
    def log(self, kafka_bootstrap: str) -> Iterator[FencingLog]:
        log = KafkaLog({"bootstrap.servers": kafka_bootstrap})
        yield log
        log.close()

    def later(self, writer: FencedWriter) -> None:
        cast(KafkaFencedWriter, writer)._asked_at -= IDENTITY_S

    def test_what_was_begun_and_not_committed_is_never_read(
        self, log: FencingLog, topic: str, kafka_bootstrap: str
    ) -> None:
        writer = log.fenced_writer(topic, topic)
        writer.append(items(0, 3))
        writer.close()
        dying = Producer({"bootstrap.servers": kafka_bootstrap, "transactional.id": topic})
        dying.init_transactions(20)
        dying.begin_transaction()
        for _ in range(500):
            dying.produce(topic, b"half", partition=0)
        assert dying.flush(20) == 0
        after = log.fenced_writer(topic, topic)
        assert written(after) == values(3)
        after.append(items(3, 1))
        assert written(after) == values(4)
        after.close()
        with suppress(KafkaException):  # it is told that it is fenced
            dying.close()

    def test_behind_an_open_transaction_of_somebody_else_nothing_is_taken_for_the_end(
        self, topic: str, kafka_bootstrap: str
    ) -> None:
        log = KafkaLog({"bootstrap.servers": kafka_bootstrap}, timeout_ms=3_000)
        other = Producer({"bootstrap.servers": kafka_bootstrap, "transactional.id": topic + ".other"})
        other.init_transactions(20)
        other.begin_transaction()
        other.produce(topic, b"foreign", partition=0)
        assert other.flush(20) == 0
        writer = log.fenced_writer(topic, topic)
        with pytest.raises(LogUnavailable, match="open"):
            list(writer.newest_first())
        other.abort_transaction(20)
        threading.Event().wait(0.1)
        assert written(writer) == []
        writer.close()
        other.close()
        log.close()
