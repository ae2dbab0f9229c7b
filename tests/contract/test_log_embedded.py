"""The embedded log keeps the contract of the log."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from backbone.log import Log
from backbone.log.embedded import EmbeddedLog
from backbone.topics import registry_topic
from tests.contract.log_contract import LogContract, read_to_end
from tests.contract.log_extras import Durable, Rewritable


class TestEmbeddedLog(LogContract, Rewritable, Durable):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Callable[..., Log]:
        return partial(EmbeddedLog, tmp_path / "log")

    @pytest.fixture
    def address(self, tmp_path: Path) -> list[str]:
        return ["embedded", str(tmp_path / "log")]

    def prune(self, log: Log, topic: str, partition: int, first_offset: int) -> None:
        assert isinstance(log, EmbeddedLog)
        log.prune(topic, partition, first_offset)

    def truncate(self, log: Log, topic: str, partition: int, end_offset: int) -> None:
        assert isinstance(log, EmbeddedLog)
        log.truncate(topic, partition, end_offset)

    def test_a_compacted_topic_does_not_grow(self, log: Log) -> None:
        spec = registry_topic("small", 1)
        log.create([spec])
        with closing(log.producer()) as producer:
            for number in range(300):
                producer.send(spec.name, 0, b"%d" % number, b"key %d" % (number % 3))
                if number % 50 == 0:
                    producer.flush(1_000)
            assert producer.flush(1_000) == 0
        with closing(log.reader(spec.name, {0: 0})) as reader:
            assert [record.offset for record in read_to_end(reader)] == [297, 298, 299]
