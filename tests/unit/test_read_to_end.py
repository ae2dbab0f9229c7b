"""A topic of ours that retention shortens while it is read, at any step, as often as it may."""

from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from backbone.log import Log, LogReader, LogRecord, LogUnavailable, PositionLost
from consensus.runtime.readers import BEGINNINGS_MAX, read_to_end

TOPIC = "t"


class Shrinking:
    """A log with a record at each offset below `end`; when its beginning has been told it moves on to the next one."""

    def __init__(self, begins: Sequence[int], end: int) -> None:
        self._begins, self.end = list(begins), end
        self._begin = 0

    def begin(self, topic: str, partition: int) -> int:
        told = self._begin
        self._begin = self._begins.pop(0) if self._begins else self._begin
        return told

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        return cast(LogReader, ShrinkingReader(self, positions[0]))

    def holds(self, offset: int) -> bool:
        return self._begin <= offset


class ShrinkingReader:
    def __init__(self, log: Shrinking, position: int) -> None:
        self._log, self._next = log, position

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        if not self._log.holds(self._next):
            raise PositionLost("gone", TOPIC, 0)
        self._next += 1
        return [LogRecord(TOPIC, 0, self._next - 1, None, b"")]

    def at_end(self) -> bool:
        return self._next >= self._log.end

    def close(self) -> None:
        return None


@pytest.mark.parametrize("moves", range(BEGINNINGS_MAX - 1))
def test_a_beginning_that_moves_again_is_followed(moves: int) -> None:
    log = Shrinking([2 + move for move in range(moves)], 9)
    log.begin(TOPIC, 0)
    found = [record.offset for record in read_to_end(cast(Log, log), TOPIC, 0)]
    first = moves + 1 if moves else 0
    assert found == list(range(first, 9))


def test_a_beginning_that_moves_each_time_is_a_log_that_does_not_answer() -> None:
    log = Shrinking([2 + move for move in range(100)], 1_000)
    log.begin(TOPIC, 0)
    with pytest.raises(LogUnavailable, match="moves each time"):
        list(read_to_end(cast(Log, log), TOPIC, 0))
