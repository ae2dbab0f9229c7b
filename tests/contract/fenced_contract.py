"""What a fenced writer does, whatever the log."""

import uuid
from collections.abc import Iterator

import pytest

from backbone.log import TopicMissing
from backbone.log.fenced import LOOK_BACK, Fenced, FencedWriter, FencingLog, Item
from backbone.topics import effects_topic


def items(first: int, count: int) -> list[Item]:
    return [(b"key %d" % number, b"value %d" % number) for number in range(first, first + count)]


def written(writer: FencedWriter) -> list[bytes]:
    """All values, oldest first."""
    return [record.value or b"" for record in writer.newest_first()][::-1]


def values(count: int) -> list[bytes]:
    return [value for _, value in items(0, count)]


class FencedContract:
    """Subclasses have a fixture `log`."""

    @pytest.fixture
    def topic(self, log: FencingLog) -> Iterator[str]:
        name = f"momus.contract.{uuid.uuid4().hex}"
        log.create([effects_topic(name, 1, 0)])
        yield name
        log.delete([name])

    def test_batches_are_there_in_order_and_read_backwards(self, log: FencingLog, topic: str) -> None:
        writer = log.fenced_writer(topic, topic)
        assert written(writer) == []
        count = 3 * LOOK_BACK + 7
        for first in range(0, count, 61):
            writer.append(items(first, min(61, count - first)))
        writer.close()
        again = log.fenced_writer(topic, topic)
        newest = next(iter(again.newest_first()))
        assert (newest.key, newest.value) == items(count - 1, 1)[0]
        assert written(again) == values(count)
        again.append(items(count, 5))
        again.close()
        last = log.fenced_writer(topic, topic)
        assert written(last) == values(count + 5)
        last.close()

    def test_an_earlier_writer_appends_nothing_once_a_later_one_has(self, log: FencingLog, topic: str) -> None:
        first = log.fenced_writer(topic, topic)
        first.append(items(0, 3))
        second = log.fenced_writer(topic, topic)
        assert written(second) == values(3)
        second.append(items(3, 2))
        with pytest.raises(Fenced):
            first.append(items(3, 9))
        first.close()
        second.append(items(5, 1))
        second.close()
        third = log.fenced_writer(topic, topic)
        assert written(third) == values(6)
        third.close()

    def test_a_writer_that_is_left_without_a_word_leaves_whole_batches_only(self, log: FencingLog, topic: str) -> None:
        writers = []
        for first in range(0, 40, 10):
            writer = log.fenced_writer(topic, topic)
            writer.append(items(first, 10))
            writers.append(writer)
        last = log.fenced_writer(topic, topic)
        assert written(last) == values(40)
        for writer in (*writers, last):
            writer.close()

    def test_a_topic_that_is_not_there_is_said(self, log: FencingLog) -> None:
        with pytest.raises(TopicMissing):
            log.fenced_writer("momus.contract.none", "none")

    def test_a_topic_that_was_made_anew_is_not_written_on(self, log: FencingLog, topic: str) -> None:
        writer = log.fenced_writer(topic, topic)
        writer.append(items(0, 3))
        log.delete([topic])
        log.create([effects_topic(topic, 1, 0)])
        self.later(writer)
        with pytest.raises(Exception, match=r"anew|recreated|not exist"):
            writer.append(items(3, 3))
        writer.close()
        again = log.fenced_writer(topic, topic)
        assert written(again) == []
        again.close()

    def later(self, writer: FencedWriter) -> None:
        """So much later that the writer looks whether its topic is still the same."""
