"""A topic in memory whose content a test may change under its readers."""

from collections.abc import Mapping, Sequence

from backbone.log import LogReader, LogRecord, PositionLost, TopicInfo

Values = dict[int, list[tuple[int, bytes | None]]]
"""partition -> (offset, value) of its records."""


class FakeTopic:
    """`opened` holds the positions of every reader that was opened."""

    def __init__(self, values: Values, name: str = "t") -> None:
        self.values = values
        self.name = name
        self.opened: list[dict[int, int]] = []
        self.topic_id = "topic id"
        self.begins: dict[int, int] = {}
        """partition -> its first offset, where it was pruned."""
        self.readers: list[type[FakeReader]] = []
        """The kinds of the next readers, where they are not FakeReader."""

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        """As `Log`, for the one topic that there is."""
        return self.open_reader(positions)

    def describe(self, topic: str) -> TopicInfo:
        return TopicInfo(self.name, self.topic_id, 2, 1, {})

    def begin(self, topic: str, partition: int) -> int:
        return self.begins.get(partition, 0)

    def ends(self, topic: str) -> dict[int, int]:
        return {partition: records[-1][0] + 1 if records else 0 for partition, records in self.values.items()}

    def open_reader(self, positions: Mapping[int, int]) -> LogReader:
        self.opened.append(dict(positions))
        reader = self.readers.pop(0) if self.readers else FakeReader
        return reader(self, dict(positions))


class FakeReader:
    """Reads partitions in turn, one record each; it is at the end when it has no more."""

    def __init__(self, topic: FakeTopic, positions: dict[int, int]) -> None:
        self.topic = topic
        self.positions = positions
        self.is_closed = False

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        assert not self.is_closed
        found: list[LogRecord] = []
        while len(found) < records_max and (more := self._round()):
            found.extend(more)
        return found

    def _round(self) -> list[LogRecord]:
        found = []
        for partition, position in self.positions.items():
            if position < self.topic.begins.get(partition, 0):
                raise PositionLost(f"offset {position} is gone")
            for offset, value in self.topic.values.get(partition, []):
                if offset >= position:
                    found.append(LogRecord(self.topic.name, partition, offset, None, value))
                    self.positions[partition] = offset + 1
                    break
        return found

    def at_end(self) -> bool:
        return not any(
            offset >= position
            for partition, position in self.positions.items()
            for offset, _ in self.topic.values.get(partition, [])
        )

    def close(self) -> None:
        self.is_closed = True
