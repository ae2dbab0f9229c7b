"""The log on a real Apache Kafka keeps the contract of the log."""

from collections.abc import Callable
from contextlib import closing

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from backbone.log import Log
from backbone.log.kafka import KafkaLog
from tests.contract.log_contract import LogContract, read_some
from tests.contract.log_extras import Durable, NullValues
from tests.patience import WAIT_S


@pytest.mark.kafka
class TestKafkaLog(LogContract, NullValues, Durable):
    @pytest.fixture(autouse=True)
    def _servers(self, kafka_bootstrap: str) -> None:
        self.servers = kafka_bootstrap

    @pytest.fixture
    def connect(self) -> Callable[..., Log]:
        def open_log(queue_records_max: int | None = None) -> Log:
            bound = {} if queue_records_max is None else {"queue.buffering.max.messages": str(queue_records_max)}
            return KafkaLog({"bootstrap.servers": self.servers} | bound)

        return open_log

    @pytest.fixture
    def address(self) -> list[str]:
        return ["kafka", self.servers]

    def prune(self, log: Log, topic: str, partition: int, first_offset: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.servers, "log_level": "0"})
        for future in admin.delete_records([TopicPartition(topic, partition, first_offset)]).values():
            assert future.result(WAIT_S).low_watermark == first_offset

    def append_null(self, log: Log, topic: str, key: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.servers, "log_level": "0"})
        producer.produce(topic, None, key, 0)
        assert producer.flush(20) == 0

    @pytest.mark.parametrize("end", ["commit", "abort", "leave open"])
    def test_a_record_of_a_kafka_transaction_is_read_whatever_becomes_of_the_transaction(
        self, log: Log, topic: str, end: str
    ) -> None:
        """docs/producing.md says so to who produces: what is signed and appended is submitted."""
        writer = Producer({"bootstrap.servers": self.servers, "log_level": "0", "transactional.id": f"{topic}.writer"})
        writer.init_transactions(WAIT_S)
        writer.begin_transaction()
        writer.produce(topic, b"signed", None, 0)
        assert writer.flush(WAIT_S) == 0
        if end == "commit":
            writer.commit_transaction(WAIT_S)
        elif end == "abort":
            writer.abort_transaction(WAIT_S)
        with closing(log.reader(topic, {0: 0})) as reader:
            found = read_some(reader, 1)
        assert [record.value for record in found] == [b"signed"]
