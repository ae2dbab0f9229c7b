"""The simulated log keeps the contract of the log."""

from collections.abc import Callable
from contextlib import closing

import pytest

from backbone.log import Log
from backbone.log.simulated import SimulatedLog
from tests.contract.log_contract import LogContract, read_some, send_all
from tests.contract.log_extras import NullValues, Rewritable


class TestSimulatedLog(LogContract, NullValues, Rewritable):
    @pytest.fixture
    def connect(self) -> Callable[..., Log]:
        """One object is the log; the first call decides its bounds, so a bound makes another view of the topics."""
        shared = SimulatedLog()

        def open_log(queue_records_max: int | None = None) -> Log:
            return shared if queue_records_max is None else shared.bounded(queue_records_max)

        return open_log

    def prune(self, log: Log, topic: str, partition: int, first_offset: int) -> None:
        assert isinstance(log, SimulatedLog)
        log.prune(topic, partition, first_offset)

    def truncate(self, log: Log, topic: str, partition: int, end_offset: int) -> None:
        assert isinstance(log, SimulatedLog)
        log.truncate(topic, partition, end_offset)

    def append_null(self, log: Log, topic: str, key: bytes) -> None:
        assert isinstance(log, SimulatedLog)
        log.append(topic, 0, None, key)

    def test_gaps_are_read_over(self, log: Log, topic: str) -> None:
        assert isinstance(log, SimulatedLog)
        send_all(log, topic, 0, [b"a"])
        log.skip(topic, 0, 3)
        send_all(log, topic, 0, [b"b"])
        log.skip(topic, 0, 1)
        with closing(log.reader(topic, {0: 0})) as reader:
            assert [record.offset for record in read_some(reader, 2)] == [0, 4]
            assert reader.at_end()
        with closing(log.reader(topic, {0: 2})) as reader:
            assert [record.offset for record in reader.read(10, 0)] == [4]
