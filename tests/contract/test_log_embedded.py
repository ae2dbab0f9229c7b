"""The embedded log keeps the contract of the log."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from backbone.embedded import EmbeddedLog
from backbone.log import Log
from tests.contract.log_contract import LogContract
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
