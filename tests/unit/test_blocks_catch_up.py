"""Catching up from the `blocks` topic, in virtual time over logs of many thousands of blocks: it ends, and what is read
is proportional to what is missing."""

from collections.abc import Callable, Iterable

import pytest

from consensus.core.blocks_position import BlocksPosition
from consensus.core.chain import FINALS_MAX

TURN_MS = 100


class CatchUp:
    """Who reads the topic, and delivers each block once it has all below it; of what is too far above nothing stays."""

    def __init__(self, heights: Iterable[int], delivered: int = 0, position: int = 0, records_per_s: int = 1_000):
        self.topic = list(heights)
        """By offset."""
        self.top = max(self.topic)
        self.delivered = delivered
        self.records = 0
        """Read so far."""
        self.now_ms = 0
        self.is_hidden: Callable[[int, int], bool] = lambda offset, now_ms: False
        self._position = BlocksPosition(position)
        self._cursor = position
        self._per_turn = records_per_s * TURN_MS // 1000
        self._finals: set[int] = set()

    def run_s(self, seconds: int) -> None:
        """Go on for so long, or until everything is delivered."""
        end_ms = self.now_ms + 1000 * seconds
        while self.now_ms < end_ms and self.delivered < self.top:
            self._turn()

    def _turn(self) -> None:
        self.now_ms += TURN_MS
        for _ in range(self._per_turn):
            if self._cursor < len(self.topic):
                self._read()
        is_gap = self.delivered < self.top
        again_from = self._position.read_again_from(is_gap, self.delivered, self.now_ms)
        if again_from is not None:
            assert 0 <= again_from <= len(self.topic)
            self._cursor = again_from

    def _read(self) -> None:
        offset, self._cursor = self._cursor, self._cursor + 1
        self.records += 1
        if self.is_hidden(offset, self.now_ms):
            return
        height = self.topic[offset]
        is_new = self.delivered < height <= self.delivered + FINALS_MAX
        if is_new:
            self._finals.add(height)
        self._position.on_record(offset, height if is_new else None)
        while self.delivered + 1 in self._finals:
            self.delivered += 1
            self._finals.remove(self.delivered)


def filled_again(height: int) -> list[int]:
    """A topic that was lost when the chain stood at `height`: one new block for every hundred of those before."""
    return [h for old in range(1, height + 1) for h in ((height + old // 100, old) if old % 100 == 0 else (old,))]


@pytest.mark.parametrize("records_per_s", [20, 100, 500])
def test_a_long_catch_up_reads_each_record_once(records_per_s: int) -> None:
    blocks = 400 * records_per_s
    catching_up = CatchUp(range(1, blocks + 1), records_per_s=records_per_s)
    catching_up.run_s(800)
    assert catching_up.delivered == blocks
    assert catching_up.records == blocks


@pytest.mark.parametrize("missing", [2, 50_000, 99_999])
def test_a_header_that_was_missing_for_twelve_minutes_on_a_long_chain_heals(missing: int) -> None:
    blocks = 100_000
    catching_up = CatchUp(height for height in range(1, blocks + 1) if height != missing)
    catching_up.run_s(12 * 60)
    assert catching_up.delivered == missing - 1
    before = catching_up.records
    assert before < 6 * blocks
    catching_up.topic.append(missing)
    catching_up.run_s(10 * 60)
    assert catching_up.delivered == blocks
    assert catching_up.records - before < 4 * (blocks - missing) + 2 * FINALS_MAX + 2 * blocks * (missing > 99_000)


@pytest.mark.parametrize("back", [1, 20, 300, 30_000])
def test_a_header_far_behind_the_position_is_found_at_a_cost_of_that_distance(back: int) -> None:
    blocks = 100_000
    catching_up = CatchUp(range(1, blocks + 1), delivered=blocks - back - 1, position=blocks - 1)
    catching_up.run_s(300)
    assert catching_up.delivered == blocks
    assert catching_up.records < 4 * back + 100


def test_blocks_published_out_of_order_are_found_though_they_were_passed_by() -> None:
    blocks = 50_000
    catching_up = CatchUp(filled_again(blocks))
    catching_up.run_s(600)
    assert catching_up.delivered == blocks + blocks // 100
    assert catching_up.records < 4 * len(catching_up.topic)


def test_progress_makes_the_next_search_a_short_one() -> None:
    blocks, steps = 20_000, 60
    catching_up = CatchUp(range(1, blocks + 1))
    catching_up.run_s(60)
    for height in range(blocks + 1, blocks + 1 + steps):
        catching_up.top = height
        catching_up.run_s(3)
        catching_up.topic.append(height)
        catching_up.run_s(1)
        assert catching_up.delivered == height
    assert catching_up.records < blocks + 50 * steps


def test_a_record_that_the_log_withheld_for_a_while_is_read_when_it_shows_it() -> None:
    catching_up = CatchUp(range(1, 5_001))
    catching_up.is_hidden = lambda offset, now_ms: offset == 700 and now_ms < 60_000
    catching_up.run_s(300)
    assert catching_up.delivered == 5_000


def test_a_search_of_a_topic_whose_beginning_was_deleted_comes_back() -> None:
    """The log shows nothing of what a stretch lies in; then the missing block is published at the end."""
    catching_up = CatchUp(range(1, 1_001), delivered=999, position=999)
    catching_up.is_hidden = lambda offset, now_ms: offset < 1_000
    catching_up.run_s(120)
    catching_up.topic.append(1_000)
    catching_up.run_s(60)
    assert catching_up.delivered == 1_000
