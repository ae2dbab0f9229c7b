"""The thread that reads one topic: on from a position, again from an earlier one, anew where the log was cut."""

from contextlib import suppress

import pytest

from backbone.log import LogRecord, LogUnavailable, TopicSpec
from backbone.log.simulated import SimulatedLog
from consensus.runtime.loop import TopicRestarted
from consensus.runtime.readers import TopicTail

TOPIC = "blocks"


class Tailed:
    """A topic of a hundred records, and what its tail hands over."""

    def __init__(self, position: int) -> None:
        self.log = SimulatedLog()
        self.log.create([TopicSpec(TOPIC, 1)])
        for number in range(100):
            self.log.append(TOPIC, 0, b"%d" % number)
        self.batches: list[object] = []
        self.tail = TopicTail(self.log, TOPIC, position, self._put)

    def _put(self, batch: object) -> None:
        self.batches.append(batch)

    def read(self) -> list[object]:
        """Read for a while; what came: offsets, and what is no record."""
        found: list[object] = []
        for _ in range(3):
            with suppress(LogUnavailable):
                self.tail.read()
        batches, self.batches = self.batches, []
        for batch in batches:
            items = batch if isinstance(batch, tuple) else (batch,)
            found += [item.offset if isinstance(item, LogRecord) else item for item in items]
        return found


@pytest.mark.parametrize(("again_from", "begin"), [(0, 0), (20, 0), (0, 30), (29, 30), (30, 30), (95, 30)])
def test_a_topic_is_read_again_from_what_the_log_still_has(again_from: int, begin: int) -> None:
    """A search that goes back beyond what the log keeps has lost nothing: the topic was not restarted."""
    it = Tailed(40)
    assert it.read() == list(range(40, 100))
    it.log.prune(TOPIC, 0, begin)
    it.tail.read_again(again_from)
    assert it.read() == list(range(max(again_from, begin), 100))


def test_a_topic_whose_end_was_cut_below_the_position_is_restarted() -> None:
    it = Tailed(40)
    it.read()
    it.log.truncate(TOPIC, 0, 10)
    found = it.read()
    assert found == [TopicRestarted(TOPIC, 0), *range(10)]


def test_a_wish_to_read_again_outlives_a_log_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Tailed(40)
    it.read()
    it.tail.read_again(90)

    def is_away(*arguments: object) -> int:
        raise LogUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(it.log, "begin", is_away)
        patched.setattr(it.log, "reader", is_away)
        assert it.read() == []
    assert it.read() == list(range(90, 100))
