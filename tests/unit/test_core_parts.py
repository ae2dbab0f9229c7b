"""The smaller parts around the core: clock, keeper and position of `blocks`, outbox, checkpoint rule."""

from dataclasses import replace
from threading import Event

import pytest

from consensus.core.block_publisher import WAITING_MAX, BlockPublisher
from consensus.core.blocks_position import BlocksPosition
from consensus.runtime.clock import SteadyClock
from consensus.runtime.outbox import QUEUE_MAX, Outbox
from consensus.runtime.queues import Queues
from consensus.runtime.readers import Reading, ReadingEnded
from consensus.wire.final_blocks import BlockReader, Proven
from consensus.wire.messages import Block, Kind
from ledger.checkpoint_rule import CheckpointRule
from ledger.committee import Committees
from tests.core_bench import START_MS, Bench
from tests.flaky_log import FlakyLog

BENCH = Bench()
FIRST = BENCH.block(1)


class TestSteadyClock:
    def clock(self) -> tuple[SteadyClock, list[float]]:
        times = [100.0, 5_000.0]
        return SteadyClock(lambda: times[0], lambda: times[1]), times

    def test_it_follows_the_wall_clock(self) -> None:
        clock, times = self.clock()
        times[0], times[1] = 101.0, 5_001.0
        assert clock.now_ms() == 5_001_000

    def test_a_wall_clock_set_back_is_not_gone_back_to(self) -> None:
        clock, times = self.clock()
        times[0], times[1] = 101.0, 4_000.0
        first = clock.now_ms()
        times[0], times[1] = 102.0, 4_001.0
        assert 5_000_000 < first < clock.now_ms() <= 5_002_000


def proven(block: Block, view: int | None = None) -> Proven:
    certificate = BENCH.certificate(Kind.FINALIZE, view or block.header.view, block)
    return Proven(block, certificate, ())


def keeper() -> tuple[BlockPublisher, list[bytes]]:
    published: list[bytes] = []

    def stored(height: int, blocks_max: int) -> list[tuple[int, bytes, bytes]]:
        """Any number of blocks, of which the first is the real one."""
        heights = range(height + 1, height + 1 + blocks_max)
        return [(at, FIRST.digest if at == 1 else bytes(32), b"stored %d" % at) for at in heights]

    return BlockPublisher(
        BlockReader(BENCH.genesis, Committees.of(BENCH.genesis)), published.append, stored, 500
    ), published


def test_own_blocks_are_published_at_once() -> None:
    kept, published = keeper()
    kept.on_final(1, FIRST.digest, b"first", True, START_MS)
    assert published == [b"first"]


def test_others_blocks_are_published_when_nobody_did_for_a_while() -> None:
    kept, published = keeper()
    kept.on_final(1, FIRST.digest, b"first", False, START_MS)
    kept.on_time(START_MS + 499)
    assert published == []
    kept.on_time(START_MS + 500)
    assert published == [b"first"]
    assert kept.next_ms() == START_MS + 1_000


def test_a_block_that_was_seen_is_not_published() -> None:
    kept, published = keeper()
    kept.on_final(1, FIRST.digest, b"first", False, START_MS)
    kept.on_block(proven(FIRST))
    kept.on_time(START_MS + 10_000)
    assert published == []
    assert kept.complete_height == 1


def test_a_block_that_was_seen_before_it_was_final_here_is_not_published() -> None:
    kept, published = keeper()
    assert kept.on_block(proven(FIRST))
    kept.on_final(1, FIRST.digest, b"first", False, START_MS)
    kept.on_time(START_MS + 10_000)
    assert published == []


def test_a_block_with_a_bad_proof_does_not_count_as_published() -> None:
    kept, published = keeper()
    kept.on_final(1, FIRST.digest, b"first", False, START_MS)
    good = proven(FIRST)
    kept.on_block(replace(good, finalization=replace(good.finalization, signatures=good.finalization.signatures[:1])))
    kept.on_time(START_MS + 500)
    assert published == [b"first"]


def test_what_is_watched_is_bounded_and_completeness_waits_for_the_rest() -> None:
    kept, _ = keeper()
    for height in range(1, WAITING_MAX + 10):
        kept.on_final(height, bytes(32), b"", False, START_MS)
    assert kept.complete_height == 0
    kept.on_final(WAITING_MAX + 10, FIRST.digest, b"", False, START_MS)
    assert kept.complete_height == 0


def test_what_there_was_no_room_for_is_taken_up_from_the_store() -> None:
    kept, published = keeper()
    kept.start(0, 3 * WAITING_MAX)
    kept.on_time(START_MS)
    assert published == []
    kept.on_time(START_MS + 500)
    assert len(published) == WAITING_MAX // 2
    assert published[0] == b"stored 1"
    assert kept.complete_height == 0
    kept.on_block(proven(FIRST))
    assert kept.complete_height == 1


def test_a_topic_that_was_lost_is_filled_again_from_the_store() -> None:
    kept, published = keeper()
    kept.on_final(1, FIRST.digest, b"first", False, START_MS)
    kept.on_block(proven(FIRST))
    assert kept.complete_height == 1
    kept.on_lost()
    assert kept.complete_height == 0
    assert kept.next_ms() == 0
    kept.on_time(START_MS)
    kept.on_time(START_MS + 500)
    assert published[0] == b"stored 1"


def test_blocks_are_read_on_from_the_first_that_is_not_delivered() -> None:
    position = BlocksPosition(10)
    position.on_record(10, 4)
    position.on_record(11, None)
    position.on_record(12, 5)
    assert position.position(3) == 10
    assert position.position(4) == 12
    assert position.position(5) == 13


def test_records_wait_while_the_log_is_full() -> None:
    log = FlakyLog()
    log.faults.append("full")
    outbox = Outbox(log.producer(), flush_ms=100)
    outbox.send("t", b"one")
    outbox.send("t", b"two")
    outbox.pump()
    assert log.values("t") == []
    outbox.pump()
    assert log.values("t") == [b"one", b"two"]


def test_refused_records_are_sent_again() -> None:
    log = FlakyLog()
    log.faults.append("refuse")
    outbox = Outbox(log.producer(), flush_ms=100)
    outbox.send("t", b"one")
    outbox.pump()
    outbox.pump()
    assert log.values("t") == [b"one"]
    assert outbox.failed == 1


def test_what_waits_for_the_log_is_bounded() -> None:
    outbox = Outbox(FlakyLog().producer(), flush_ms=100)
    for _ in range(QUEUE_MAX + 3):
        outbox.send("t", b"")
    assert outbox.dropped == 3


@pytest.mark.parametrize(
    ("height", "after_ms", "records", "expected"),
    [(7, 0, 1, True), (6, 9_999, 1, False), (6, 10_000, 1, True), (6, 10_000, 0, False), (14, 0, 0, True)],
)
def test_checkpoint_blocks_are_those_of_a_height_or_the_first_after_a_time_with_other_heads(
    height: int, after_ms: int, records: int, expected: bool
) -> None:
    bench = Bench(checkpoint_heights=7, checkpoint_time_ms=10_000)
    last = bench.block(1, records=0)
    time_ms = last.header.time_ms + after_ms
    block = bench.block(2, last, records=records, height=height, time_ms=time_ms)
    assert CheckpointRule(bench.genesis).holds(block.header, last.header) is expected


def check_for_a_while(reading: Reading) -> None:
    for _ in range(10_000):
        reading.check()
        Event().wait(0.001)


def test_a_reading_thread_that_dies_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.excepthook", lambda arguments: None)
    reading = Reading(Queues(()))

    def dies() -> None:
        raise RuntimeError

    reading.start("dies", dies, lambda: None, (KeyError,))
    with pytest.raises(ReadingEnded, match="dies"):
        check_for_a_while(reading)
    reading.close()


def test_an_expected_error_of_a_reading_thread_reaches_the_loop() -> None:
    reading = Reading(Queues(()))

    def fails() -> None:
        raise KeyError("gone")

    reading.start("fails", fails, lambda: None, (KeyError,))
    with pytest.raises(KeyError, match="gone"):
        check_for_a_while(reading)
    reading.close()
